TSAN_PROGRAMS += tests/kernels/threads.c
