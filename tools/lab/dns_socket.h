/* SPDX-License-Identifier: ISC */
/*
 * Port 53 of one address, UDP and TCP, on the loop: the lab's name servers and
 * its resolver. Bound before a fork, served after it. What a client can make
 * us keep is bounded: DNS_SOCKET_CLIENTS connections for each address, ten
 * seconds without a byte each, queries of DNS_SOCKET_QUERY bytes.
 */
#ifndef POSTERN_TOOLS_LAB_DNS_SOCKET_H
#define POSTERN_TOOLS_LAB_DNS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_socket;
struct dns_asker;

enum { DNS_SOCKET_CLIENTS = 32, DNS_SOCKET_QUERY = 4096 };

/* The query is borrowed. The asker is answered once, now or later. */
typedef void dns_socket_query(void *arg, struct dns_asker *asker,
    const uint8_t *query, size_t length);

/* Binds. Null with a sentence in error. */
struct dns_socket	*dns_socket_new(const char *address, char *error,
			    size_t size);
/* Serves on the loop from now on. */
void	 dns_socket_start(struct dns_socket *dns, dns_socket_query *callback,
	    void *arg);
/* Closes everything; nobody may wait for an answer any more. */
void	 dns_socket_free(struct dns_socket *dns);

bool	 dns_asker_is_tcp(const struct dns_asker *asker);
/* Sends, or says nothing when packet is null, and forgets the asker. */
void	 dns_asker_answer(struct dns_asker *asker, const uint8_t *packet,
	    size_t length);

#endif
