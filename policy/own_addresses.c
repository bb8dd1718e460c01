/* SPDX-License-Identifier: ISC */
/*
 * See own_addresses.h. What cannot be listed leaves what was known.
 */
#include "policy/own_addresses.h"

#include <errno.h>
#include <ifaddrs.h>

#include "base/clock.h"
#include "base/log.h"

enum { AGE_MILLISECONDS = 60000 };

static void add(struct own_addresses *own, const struct sockaddr *address)
{
	struct endpoint *endpoint = &own->items[own->count];

	if (address == NULL || own->count == OWN_ADDRESSES_MAX)
		return;
	if (address->sa_family == AF_INET)
		endpoint_from_socket(endpoint, address,
		    sizeof(struct sockaddr_in));
	else if (address->sa_family == AF_INET6)
		endpoint_from_socket(endpoint, address,
		    sizeof(struct sockaddr_in6));
	else
		return;
	own->count++;
}

void own_addresses_read(struct own_addresses *own)
{
	struct ifaddrs *list, *one;

	if (own->read != 0 && clock_monotonic() - own->read < AGE_MILLISECONDS)
		return;
	own->read = clock_monotonic();
	if (getifaddrs(&list) == -1) {
		log_warn("cannot list own addresses", log_errno(errno));
		return;
	}
	own->count = 0;
	for (one = list; one != NULL; one = one->ifa_next)
		add(own, one->ifa_addr);
	freeifaddrs(list);
}
