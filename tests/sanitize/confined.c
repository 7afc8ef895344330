/* Stands in front of sandbox_enter in sanitized programs (the linker's --wrap): a confined process can open no file, so
 * the one for its sanitizer's report is opened before. It stays empty where there is nothing to report. */
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "media/sandbox.h"

enum status __real_sandbox_enter(int64_t memory_bytes, unsigned *parts);
enum status __wrap_sandbox_enter(int64_t memory_bytes, unsigned *parts);

enum status __wrap_sandbox_enter(int64_t memory_bytes, unsigned *parts)
{
    enum { PATH_BYTES = 4096 };
    char path[PATH_BYTES];
    const char *folder = getenv("SANITIZER_REPORTS");
    if (folder) {
        snprintf(path, sizeof path, "%s/report.confined.%d", folder, (int)getpid());
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd >= 0)
            __sanitizer_set_report_fd((void *)(intptr_t)fd);
    }
    return __real_sandbox_enter(memory_bytes, parts);
}
