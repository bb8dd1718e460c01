/* SPDX-License-Identifier: ISC */
/*
 * The chain of ticket secrets: secret(n + 1) = SHA-256("next", secret(n)), and
 * the keys of a listener are SHA-256(what for, secret, name). The old links
 * are wiped.
 */
#include "base/tls_tickets.h"

#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"

/* More steps than that at once (ten years) are no rotation but a broken
 * clock; all of them would only take time. */
enum { STEPS_MAX = 7300 };

struct tls_tickets {
	struct tls_ticket_secret	 current;
	struct tls_ticket_secret	 previous;	/* epoch -1: none */
};

static int64_t epoch_now(void)
{
	return clock_wall() / (TLS_TICKET_HOURS * INT64_C(3600000));
}

void tls_tickets_begin(struct tls_ticket_secret *secret)
{
	secret->epoch = epoch_now();
	random_bytes(secret->bytes, sizeof secret->bytes);
}

void tls_tickets_join(struct tls_tickets *tickets,
    const struct tls_ticket_secret *secret)
{
	tickets->current = *secret;
	tickets->previous.epoch = -1;
}

struct tls_tickets *tls_tickets_new(void)
{
	struct tls_tickets *tickets = mem_alloc(sizeof *tickets);

	tls_tickets_begin(&tickets->current);
	tickets->previous.epoch = -1;
	return tickets;
}

void tls_tickets_free(struct tls_tickets *tickets)
{
	if (tickets == NULL)
		return;
	mem_wipe(tickets, sizeof *tickets);
	mem_free(tickets);
}

static void mix(const char *what, const struct tls_ticket_secret *secret,
    const char *listener, uint8_t *out)
{
	struct digest *digest = digest_new();

	/* With its null byte each part has one reading only. */
	digest_add(digest, what, strlen(what) + 1);
	digest_add(digest, secret->bytes, sizeof secret->bytes);
	digest_add(digest, listener, strlen(listener) + 1);
	digest_end(digest, out);
}

static void step(struct tls_tickets *tickets)
{
	struct tls_ticket_secret next = {
		.epoch = tickets->current.epoch + 1 };

	mix("next", &tickets->current, "", next.bytes);
	tickets->previous = tickets->current;
	tickets->current = next;
	mem_wipe(&next, sizeof next);
}

const struct tls_ticket_secret *tls_tickets_now(struct tls_tickets *tickets)
{
	int64_t epoch = epoch_now();

	if (epoch - tickets->current.epoch > STEPS_MAX)
		tickets->current.epoch = epoch - STEPS_MAX;
	while (tickets->current.epoch < epoch)
		step(tickets);
	return &tickets->current;
}

int tls_tickets_keys(struct tls_tickets *tickets, const char *listener,
    unsigned age, struct tls_ticket_keys *keys)
{
	const struct tls_ticket_secret *secret = tls_tickets_now(tickets);
	uint8_t name[DIGEST_BYTES];

	if (age > 0)
		secret = &tickets->previous;
	if (secret->epoch < 0)
		return -1;
	mix("name", secret, listener, name);
	memcpy(keys->name, name, sizeof keys->name);
	mix("cipher", secret, listener, keys->cipher);
	mix("mac", secret, listener, keys->mac);
	return 0;
}
