/* SPDX-License-Identifier: ISC */
/*
 * Reading the PROXY header: see proxy.h. Version 1 is text by its own strict
 * rules (single spaces, numbers without leading zeros, CRLF), version 2 has
 * fixed places.
 */
#include "smtpd/proxy.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
    0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };
static const char word[] = "PROXY ";

enum { V2_HEAD = 16, V2_IPV4 = 12, V2_IPV6 = 36,
    V2_COMMAND_LOCAL = 0x20, V2_COMMAND_PROXY = 0x21,
    V2_UNSPECIFIED = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 };

/* --- version 1 --- */

/* The next field of the line, ended by one space; null if there is none. */
static char *take_field(char **at)
{
	char *field = *at;
	char *end = strchr(field, ' ');

	if (end == field || *field == '\0')
		return NULL;
	if (end == NULL) {
		*at = field + strlen(field);
		return field;
	}
	*end = '\0';
	*at = end + 1;
	return field;
}

static int read_port(const char *text, uint16_t *port)
{
	size_t length = strspn(text, "0123456789");
	long value;

	if (length == 0 || length > 5 || text[length] != '\0' ||
	    (text[0] == '0' && length > 1))
		return -1;
	value = strtol(text, NULL, 10);
	if (value > UINT16_MAX)
		return -1;
	*port = (uint16_t)value;
	return 0;
}

static int read_endpoint(struct endpoint *endpoint, const char *address,
    const char *port, bool ipv6)
{
	uint16_t number;

	if (address == NULL || port == NULL ||
	    (strchr(address, ':') != NULL) != ipv6 ||
	    strchr(address, '%') != NULL || read_port(port, &number) != 0)
		return -1;
	return endpoint_parse(endpoint, address, number);
}

/* "TCP4 192.0.2.1 198.51.100.1 56324 25", behind "PROXY ". */
static enum proxy_result read_line(struct proxy *proxy, char *line)
{
	const char *family = take_field(&line);
	const char *from, *to, *from_port, *to_port;
	bool ipv6;

	if (family == NULL)
		return PROXY_BAD;
	/* Whatever stands behind it is to be ignored. */
	if (strcmp(family, "UNKNOWN") == 0)
		return PROXY_UNKNOWN;
	ipv6 = strcmp(family, "TCP6") == 0;
	if (!ipv6 && strcmp(family, "TCP4") != 0)
		return PROXY_BAD;
	from = take_field(&line);
	to = from == NULL ? NULL : take_field(&line);
	from_port = to == NULL ? NULL : take_field(&line);
	to_port = from_port == NULL ? NULL : take_field(&line);
	if (*line != '\0' ||
	    read_endpoint(&proxy->client, from, from_port, ipv6) != 0 ||
	    read_endpoint(&proxy->local, to, to_port, ipv6) != 0)
		return PROXY_BAD;
	return PROXY_CLIENT;
}

static enum proxy_result parse_text(struct proxy *proxy, const char *data,
    size_t length)
{
	char line[PROXY_LINE_MAX + 1];
	size_t most = length < PROXY_LINE_MAX ? length : PROXY_LINE_MAX;
	const char *end = memchr(data, '\n', most);
	size_t used;

	if (end == NULL)
		return length < PROXY_LINE_MAX ? PROXY_MORE : PROXY_BAD;
	used = (size_t)(end - data) + 1;
	memcpy(line, data, used);
	line[used] = '\0';
	if (used < sizeof(word) + 1 || line[used - 2] != '\r' ||
	    memchr(line, '\0', used) != NULL)
		return PROXY_BAD;
	line[used - 2] = '\0';
	if (strchr(line, '\r') != NULL || line[used - 3] == ' ')
		return PROXY_BAD;
	proxy->used = used;
	return read_line(proxy, line + sizeof(word) - 1);
}

/* --- version 2 --- */

static uint16_t read_16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

/* Both addresses, then both ports. */
static enum proxy_result read_addresses(struct proxy *proxy,
    const uint8_t *data, sa_family_t family)
{
	size_t bytes = family == AF_INET ? 4 : 16;
	const uint8_t *ports = data + 2 * bytes;

	endpoint_from_bytes(&proxy->client, family, data, read_16(ports));
	endpoint_from_bytes(&proxy->local, family, data + bytes,
	    read_16(ports + 2));
	return PROXY_CLIENT;
}

static enum proxy_result parse_binary(struct proxy *proxy,
    const uint8_t *data, size_t length)
{
	size_t rest;

	if (length < V2_HEAD)
		return PROXY_MORE;
	if (data[12] != V2_COMMAND_LOCAL && data[12] != V2_COMMAND_PROXY)
		return PROXY_BAD;
	rest = read_16(data + 14);
	if (V2_HEAD + rest > PROXY_BYTES_MAX)
		return PROXY_BAD;
	if (length < V2_HEAD + rest)
		return PROXY_MORE;
	proxy->used = V2_HEAD + rest;
	if (data[12] == V2_COMMAND_LOCAL)
		return PROXY_LOCAL;
	switch (data[13]) {
	case V2_TCP4:
		return rest < V2_IPV4 ? PROXY_BAD :
		    read_addresses(proxy, data + V2_HEAD, AF_INET);
	case V2_TCP6:
		return rest < V2_IPV6 ? PROXY_BAD :
		    read_addresses(proxy, data + V2_HEAD, AF_INET6);
	case V2_UNSPECIFIED:
	case V2_UNIX:
		return PROXY_UNKNOWN;
	default:	/* datagrams bring no mail */
		return PROXY_BAD;
	}
}

enum proxy_result proxy_parse(struct proxy *proxy, const void *data,
    size_t length)
{
	size_t text = sizeof(word) - 1;

	memset(proxy, 0, sizeof(*proxy));
	if (memcmp(data, signature, length < sizeof(signature) ? length :
	    sizeof(signature)) == 0)
		return length < sizeof(signature) ? PROXY_MORE :
		    parse_binary(proxy, data, length);
	if (memcmp(data, word, length < text ? length : text) == 0)
		return length < text ? PROXY_MORE :
		    parse_text(proxy, data, length);
	return PROXY_BAD;
}
