/* What the stand-in runtime was asked for so far: a program that has loaded ferret-simt.so finds it as the symbol
 * `simt_counts`. */
#ifndef TESTS_SIMT_COUNTS_H
#define TESTS_SIMT_COUNTS_H

struct simt_counts {
    long allocations; /* of device or pinned memory */
    long waits;       /* of the host, for a stream, an event or a synchronous copy */
    long waits_ahead; /* of them, those that left work queued which was asked for before the wait */
    long copies_back; /* to the host */
    long launches;    /* of kernels, one by one */
    long graph_launches;
    long refuse; /* set by the program: the allocation so many from now is refused; 0: none */
};

#endif
