/* SPDX-License-Identifier: ISC */
/*
 * Socket addresses, networks, and the few system calls that make sockets. The
 * callers know what a failure means to them, so nothing is logged here: errno
 * is that of the call that failed.
 */
#include "base/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log.h"

/* What IPv4 addresses look like to an IPv6 socket, RFC 4291 2.5.5.2. */
static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static sa_family_t family_of(const struct endpoint *endpoint)
{
	return endpoint->length == 0 ? AF_UNSPEC :
	    endpoint->address.any.sa_family;
}

/* The address in network order; null when it is no Internet address. */
static const uint8_t *bytes_of(const struct endpoint *endpoint, size_t *length)
{
	switch (family_of(endpoint)) {
	case AF_INET:
		*length = sizeof endpoint->address.v4.sin_addr;
		return (const uint8_t *)&endpoint->address.v4.sin_addr;
	case AF_INET6:
		*length = sizeof endpoint->address.v6.sin6_addr;
		return (const uint8_t *)&endpoint->address.v6.sin6_addr;
	default:
		*length = 0;
		return NULL;
	}
}

/* --- endpoints --- */

void endpoint_from_bytes(struct endpoint *endpoint, sa_family_t family,
    const void *bytes, uint16_t port)
{
	const uint8_t *from = bytes;

	memset(endpoint, 0, sizeof *endpoint);
	if (family == AF_INET6 &&
	    memcmp(from, mapped_prefix, sizeof mapped_prefix) == 0) {
		family = AF_INET;
		from += sizeof mapped_prefix;
	}
	if (family == AF_INET) {
		endpoint->address.v4.sin_family = AF_INET;
		endpoint->address.v4.sin_port = htons(port);
		memcpy(&endpoint->address.v4.sin_addr, from, 4);
		endpoint->length = sizeof endpoint->address.v4;
	} else if (family == AF_INET6) {
		endpoint->address.v6.sin6_family = AF_INET6;
		endpoint->address.v6.sin6_port = htons(port);
		memcpy(&endpoint->address.v6.sin6_addr, from, 16);
		endpoint->length = sizeof endpoint->address.v6;
	} else {
		bug("no-internet-family");
	}
}

int endpoint_parse(struct endpoint *endpoint, const char *text, uint16_t port)
{
	uint8_t bytes[16];
	sa_family_t family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;

	memset(endpoint, 0, sizeof *endpoint);
	if (inet_pton(family, text, bytes) != 1)
		return -1;
	endpoint_from_bytes(endpoint, family, bytes, port);
	return 0;
}

void endpoint_from_socket(struct endpoint *endpoint,
    const struct sockaddr *address, socklen_t length)
{
	struct sockaddr_in6 v6;

	memset(endpoint, 0, sizeof *endpoint);
	if (length < sizeof address->sa_family)
		return;
	if (length > sizeof endpoint->address)
		length = sizeof endpoint->address;
	memcpy(&endpoint->address, address, length);
	endpoint->length = length;
	if (address->sa_family != AF_INET6 || length < sizeof v6)
		return;
	v6 = endpoint->address.v6;
	if (memcmp(&v6.sin6_addr, mapped_prefix, sizeof mapped_prefix) == 0)
		endpoint_from_bytes(endpoint, AF_INET6, &v6.sin6_addr,
		    ntohs(v6.sin6_port));
}

uint16_t endpoint_port(const struct endpoint *endpoint)
{
	switch (family_of(endpoint)) {
	case AF_INET:
		return ntohs(endpoint->address.v4.sin_port);
	case AF_INET6:
		return ntohs(endpoint->address.v6.sin6_port);
	default:
		return 0;
	}
}

void endpoint_format(const struct endpoint *endpoint, char *out, size_t size)
{
	size_t length;
	const uint8_t *bytes = bytes_of(endpoint, &length);

	if (size < INET6_ADDRSTRLEN)
		bug("endpoint-buffer-too-small");
	if (bytes == NULL)
		snprintf(out, size, "local");
	else
		inet_ntop(family_of(endpoint), bytes, out, (socklen_t)size);
}

void endpoint_format_literal(const struct endpoint *endpoint, char *out,
    size_t size)
{
	char text[ENDPOINT_TEXT_MAX];

	endpoint_format(endpoint, text, sizeof text);
	snprintf(out, size, "[%s%s]",
	    family_of(endpoint) == AF_INET6 ? "IPv6:" : "", text);
}

int endpoint_parse_literal(struct endpoint *endpoint, const char *text,
    uint16_t port)
{
	char inner[ENDPOINT_TEXT_MAX];
	size_t length = strlen(text), tag;

	memset(endpoint, 0, sizeof *endpoint);
	if (!domain_is_literal(text) || length > sizeof inner)
		return -1;
	tag = strchr(text, ':') != NULL ? strlen("IPv6:") : 0;
	length -= tag + 2;
	memcpy(inner, text + 1 + tag, length);
	inner[length] = '\0';
	return endpoint_parse(endpoint, inner, port);
}

bool endpoint_is_loopback(const struct endpoint *endpoint)
{
	size_t length;
	const uint8_t *bytes = bytes_of(endpoint, &length);

	if (bytes == NULL)
		return false;
	if (length == 4)
		return bytes[0] == 127;
	return IN6_IS_ADDR_LOOPBACK(&endpoint->address.v6.sin6_addr);
}

/* RFC 6890: "this network", link-local, multicast, class E with broadcast. */
static bool is_unusable_v4(const uint8_t *bytes)
{
	return bytes[0] == 0 || bytes[0] >= 224 ||
	    (bytes[0] == 169 && bytes[1] == 254);
}

/* Unspecified and the IPv4-compatible block, link-local (no scope comes from
 * the DNS), multicast, and the discard prefix of RFC 6666. */
static bool is_unusable_v6(const uint8_t *bytes)
{
	static const uint8_t zeros[12], discard[8] = { 0x01 };

	return memcmp(bytes, zeros, sizeof zeros) == 0 || bytes[0] == 0xff ||
	    (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ||
	    memcmp(bytes, discard, sizeof discard) == 0;
}

bool endpoint_is_unusable(const struct endpoint *endpoint)
{
	size_t length;
	const uint8_t *bytes = bytes_of(endpoint, &length);

	if (bytes == NULL)
		return true;
	if (endpoint_is_loopback(endpoint))
		return false;
	return length == 4 ? is_unusable_v4(bytes) : is_unusable_v6(bytes);
}

bool endpoint_same_host(const struct endpoint *one,
    const struct endpoint *other)
{
	size_t length, other_length;
	const uint8_t *bytes = bytes_of(one, &length);
	const uint8_t *other_bytes = bytes_of(other, &other_length);

	return bytes != NULL && length == other_length &&
	    memcmp(bytes, other_bytes, length) == 0;
}

void endpoint_reverse_name(const struct endpoint *endpoint, char *out,
    size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t length, i;
	const uint8_t *bytes = bytes_of(endpoint, &length);
	char *end = out;

	if (size < 16 * 4 + sizeof "ip6.arpa")
		bug("reverse-name-buffer-too-small");
	if (length == 4)
		snprintf(out, size, "%u.%u.%u.%u.in-addr.arpa", bytes[3],
		    bytes[2], bytes[1], bytes[0]);
	else if (length == 16) {
		for (i = length; i-- > 0;) {
			*end++ = digits[bytes[i] & 15];
			*end++ = '.';
			*end++ = digits[bytes[i] >> 4];
			*end++ = '.';
		}
		memcpy(end, "ip6.arpa", sizeof "ip6.arpa");
	} else {
		*out = '\0';
	}
}

/* --- networks --- */

/* True when the bytes of both agree in the first bits. */
static bool same_prefix(const uint8_t *one, const uint8_t *other,
    unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(one, other, whole) == 0 &&
	    (rest == 0 || (one[whole] ^ other[whole]) >> (8 - rest) == 0);
}

/* The digits behind the slash, or the most there can be without one. */
static int parse_bits(const char *slash, unsigned max, unsigned *bits)
{
	const char *at;

	*bits = max;
	if (slash == NULL)
		return 0;
	if (slash[1] == '\0' || (slash[1] == '0' && slash[2] != '\0'))
		return -1;
	*bits = 0;
	for (at = slash + 1; *at != '\0'; at++) {
		if (*at < '0' || *at > '9')
			return -1;
		*bits = *bits * 10 + (unsigned)(*at - '0');
		if (*bits > max)
			return -1;
	}
	return 0;
}

int network_parse(struct network *network, const char *text)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
	unsigned bits, i, size;

	memset(network, 0, sizeof *network);
	if (length >= sizeof host)
		return -1;
	memcpy(host, text, length);
	host[length] = '\0';
	network->family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
	size = network->family == AF_INET ? 4 : 16;
	if (inet_pton(network->family, host, network->bytes) != 1 ||
	    parse_bits(slash, size * 8, &bits) != 0)
		return -1;
	for (i = bits; i < size * 8; i++)
		if (network->bytes[i / 8] >> (7 - i % 8) & 1)
			return -1;
	if (network->family == AF_INET6 && bits >= 96 &&
	    memcmp(network->bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
		memmove(network->bytes, network->bytes + 12, 4);
		memset(network->bytes + 4, 0, 12);
		network->family = AF_INET;
		bits -= 96;
	}
	network->bits = (uint8_t)bits;
	return 0;
}

bool network_contains(const struct network *network,
    const struct endpoint *endpoint)
{
	size_t length;
	const uint8_t *bytes = bytes_of(endpoint, &length);

	return bytes != NULL && family_of(endpoint) == network->family &&
	    same_prefix(bytes, network->bytes, network->bits);
}

/* --- sockets --- */

/* Closes and returns -1 without losing the errno of what failed. */
static int give_up(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

unsigned net_room(void)
{
	struct rlimit limits;
	rlim_t reserve;

	if (getrlimit(RLIMIT_NOFILE, &limits) != 0 ||
	    limits.rlim_cur > INT_MAX)
		return INT_MAX;
	reserve = limits.rlim_cur / 4;
	if (reserve > NET_RESERVE)
		reserve = NET_RESERVE;
	return (unsigned)(limits.rlim_cur - reserve);
}

/* The kernel gives the lowest number that is free. */
bool net_is_scarce(int fd)
{
	return fd >= 0 && (unsigned)fd >= net_room();
}

static int new_socket(sa_family_t family)
{
	return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

void net_no_delay(int fd)
{
	const int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int net_listen(const struct endpoint *endpoint, int backlog)
{
	const int on = 1;
	sa_family_t family = family_of(endpoint);
	int fd = new_socket(family);

	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
		return give_up(fd);
	/* IPv4 has a listener of its own. */
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
	    &on, sizeof on) != 0)
		return give_up(fd);
	if (bind(fd, &endpoint->address.any, endpoint->length) != 0 ||
	    listen(fd, backlog) != 0)
		return give_up(fd);
	/* What is accepted has it, too. */
	net_no_delay(fd);
	return fd;
}

static int unix_address(struct sockaddr_un *address, const char *path)
{
	size_t length = strlen(path);

	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	if (length >= sizeof address->sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address->sun_path, path, length);
	return 0;
}

int net_connect_unix(const char *path)
{
	struct sockaddr_un address;
	int fd;

	if (unix_address(&address, path) != 0)
		return -1;
	fd = new_socket(AF_UNIX);
	if (fd == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		return give_up(fd);
	return fd;
}

/* Removes a socket that nobody listens on; anything else is in our way. */
static int remove_stale(const char *path)
{
	struct stat status;
	int fd;

	if (lstat(path, &status) != 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(status.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	fd = net_connect_unix(path);
	if (fd != -1)
		close(fd);
	if (fd != -1 || errno != ECONNREFUSED) {
		errno = EADDRINUSE;
		return -1;
	}
	return unlink(path);
}

int net_listen_unix(const char *path, unsigned mode, int backlog)
{
	struct sockaddr_un address;
	mode_t before;
	int fd, bound;

	if (unix_address(&address, path) != 0 || remove_stale(path) != 0)
		return -1;
	fd = new_socket(AF_UNIX);
	if (fd == -1)
		return -1;
	/* The mode must be right from the first moment on. */
	before = umask(~(mode_t)mode & 0777);
	bound = bind(fd, (struct sockaddr *)&address, sizeof address);
	umask(before);
	if (bound != 0 || listen(fd, backlog) != 0)
		return give_up(fd);
	return fd;
}

int net_accept(int listener, struct endpoint *peer)
{
	struct sockaddr_storage storage;
	socklen_t length = sizeof storage;
	int fd = accept4(listener, (struct sockaddr *)&storage, &length,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1)
		return -1;
	if (peer != NULL)
		endpoint_from_socket(peer, (struct sockaddr *)&storage, length);
	return fd;
}

/* Leaves the choice of the port to connect(), which has more to choose from
 * than bind() because it knows the other end. */
static int bind_local(int fd, const struct endpoint *local)
{
#ifdef IP_BIND_ADDRESS_NO_PORT
	const int on = 1;

	if (endpoint_port(local) == 0)
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
		    sizeof on);
#endif
	return bind(fd, &local->address.any, local->length);
}

int net_connect(const struct endpoint *endpoint, const struct endpoint *local)
{
	int fd = new_socket(family_of(endpoint));

	if (fd == -1)
		return -1;
	if (net_is_scarce(fd)) {
		errno = EMFILE;
		return give_up(fd);
	}
	net_no_delay(fd);
	if (local != NULL && bind_local(fd, local) != 0)
		return give_up(fd);
	if (connect(fd, &endpoint->address.any, endpoint->length) != 0 &&
	    errno != EINPROGRESS && errno != EINTR)
		return give_up(fd);
	return fd;
}

int net_connect_result(int fd)
{
	int error = 0;
	socklen_t length = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
		return errno;
	return error;
}

void net_local(int fd, struct endpoint *endpoint)
{
	struct sockaddr_storage storage;
	socklen_t length = sizeof storage;

	memset(endpoint, 0, sizeof *endpoint);
	if (getsockname(fd, (struct sockaddr *)&storage, &length) == 0)
		endpoint_from_socket(endpoint, (struct sockaddr *)&storage,
		    length);
}
