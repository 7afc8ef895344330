/* tcp://127.0.0.1 with a port that nothing listened on a moment ago. */
#ifndef TESTS_UNIT_PROTOCOL_FREE_PORT_H
#define TESTS_UNIT_PROTOCOL_FREE_PORT_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void free_tcp_address(char out[64])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
              getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    snprintf(out, 64, "tcp://127.0.0.1:%d", ntohs(a.sin_port));
    close(fd);
}

#endif
