/* Which network addresses belong to the public Internet. */
#ifndef MEDIA_ADDRESS_H
#define MEDIA_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* False for private, loopback, link-local, carrier, documentation, multicast and reserved ranges, also where IPv6
 * wraps an IPv4 address, and for families other than the two. */
bool address_is_public(const struct sockaddr *a);

#endif
