/* SPDX-License-Identifier: ISC */
/*
 * Socket addresses and networks. An endpoint is an IPv4 or IPv6 address with a
 * port, or a Unix socket path. IPv4-mapped IPv6 addresses are made IPv4.
 */
#ifndef POSTERN_BASE_NET_H
#define POSTERN_BASE_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ENDPOINT_TEXT_MAX = 64 };

struct endpoint {
	union {
		struct sockaddr		 any;
		struct sockaddr_in	 v4;
		struct sockaddr_in6	 v6;
		struct sockaddr_storage	 storage;
	} address;
	socklen_t	 length;	/* 0: none */
};

struct network {
	uint8_t		 bytes[16];	/* IPv4 uses the first four */
	uint8_t		 bits;		/* prefix length */
	sa_family_t	 family;
};

/* A numeric address and a port. -1 if it is not one. */
int	 endpoint_parse(struct endpoint *endpoint, const char *text,
	    uint16_t port);
void	 endpoint_from_bytes(struct endpoint *endpoint, sa_family_t family,
	    const void *bytes, uint16_t port);
void	 endpoint_from_socket(struct endpoint *endpoint,
	    const struct sockaddr *address, socklen_t length);
uint16_t endpoint_port(const struct endpoint *endpoint);
/* "192.0.2.1", "2001:db8::1" (no port); "local" for anything else. */
void	 endpoint_format(const struct endpoint *endpoint, char *out,
	    size_t size);
/* "[192.0.2.1]", "[IPv6:2001:db8::1]": RFC 5321 4.1.3. */
void	 endpoint_format_literal(const struct endpoint *endpoint, char *out,
	    size_t size);
/* Reads "[192.0.2.1]" or "[IPv6:...]" (any case). */
int	 endpoint_parse_literal(struct endpoint *endpoint, const char *text,
	    uint16_t port);
bool	 endpoint_is_loopback(const struct endpoint *endpoint);
/* Unspecified, multicast, broadcast or documentation-free reserved: never a
 * mail host. Loopback is asked apart. */
bool	 endpoint_is_unusable(const struct endpoint *endpoint);
bool	 endpoint_same_host(const struct endpoint *one,
	    const struct endpoint *other);
/* The name under which the reverse of this address is looked up. */
void	 endpoint_reverse_name(const struct endpoint *endpoint, char *out,
	    size_t size);

/* "192.0.2.0/24", "2001:db8::/32" or an address; host bits must be zero. */
int	 network_parse(struct network *network, const char *text);
bool	 network_contains(const struct network *network,
	    const struct endpoint *endpoint);

/*
 * Peers do not get the last descriptors that this process may have: a role that
 * comes back, an operator's command and our own files need some. net_is_scarce()
 * tells of one just opened that it is one of those; net_connect() fails with
 * EMFILE then. net_room() is how many there are for peers, in all.
 */
enum { NET_RESERVE = 16 };
bool	 net_is_scarce(int fd);
unsigned net_room(void);

/* Non-blocking, close-on-exec; -1 with the errno of the failing call. */
int	 net_listen(const struct endpoint *endpoint, int backlog);
int	 net_listen_unix(const char *path, unsigned mode, int backlog);
int	 net_accept(int listener, struct endpoint *peer);
/* Starts connecting; local may be null. Writable means finished. */
int	 net_connect(const struct endpoint *endpoint,
	    const struct endpoint *local);
int	 net_connect_unix(const char *path);
/* 0 or the errno of a finished connect. */
int	 net_connect_result(int fd);
/* TCP_NODELAY; ignored for other sockets. */
void	 net_no_delay(int fd);
void	 net_local(int fd, struct endpoint *endpoint);

#endif
