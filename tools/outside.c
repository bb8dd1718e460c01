/* SPDX-License-Identifier: ISC */
/*
 * Each question runs the loop until its answer has stopped it.
 */
#include "tools/outside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/control.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/stream.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/resolver.h"
#include "tools/control_client.h"

enum { FILE_BYTES_MAX = 4 << 20, ARENA_MAX = 64 << 20 };

/* --- files --- */

char *outside_read_file(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text;
	size_t length;

	if (in == NULL)
		return NULL;
	text = mem_alloc(FILE_BYTES_MAX + 1);
	length = fread(text, 1, FILE_BYTES_MAX, in);
	fclose(in);
	if (memchr(text, '\0', length) == NULL)
		return text;
	mem_free(text);
	errno = EINVAL;
	return NULL;
}

static int read_configuration(struct outside *outside)
{
	char *errors = NULL;

	outside->text = bundle_read_text(outside->path, &errors);
	if (outside->text != NULL)
		outside->conf = conf_read(outside->path, outside->text,
		    &errors);
	if (outside->conf == NULL)
		control_client_complain(errors == NULL ? "" : errors);
	mem_free(errors);
	return outside->conf == NULL ? -1 : 0;
}

static void read_chains(struct outside *outside)
{
	const struct conf *conf = outside->conf;

	outside->chains = mem_alloc_array(conf->certificate_count + 1,
	    sizeof(*outside->chains));
	for (size_t i = 0; i < conf->certificate_count; i++) {
		outside->chains[i] = outside_read_file(
		    conf->certificates[i].chain);
		if (outside->chains[i] == NULL)
			fprintf(stderr, "postern: certificate %s: %s: %s\n",
			    conf->certificates[i].name,
			    conf->certificates[i].chain, strerror(errno));
	}
}

static int make_resolver(struct outside *outside)
{
	const char *path = outside->conf->trust_anchor_file;
	char *anchor = path[0] == '\0' ? NULL : outside_read_file(path);
	char error[256] = "";

	if (anchor == NULL)
		fprintf(stderr, "postern: no trust anchor: DNS answers are "
		    "not validated\n");
	outside->resolver = resolver_new(outside->conf, anchor, error,
	    sizeof(error));
	mem_free(anchor);
	if (outside->resolver == NULL)
		control_client_complain(error);
	return outside->resolver == NULL ? -1 : 0;
}

int outside_open(struct outside *outside, const char *configuration,
    bool look)
{
	memset(outside, 0, sizeof(*outside));
	outside->path = mem_dup_string(configuration);
	log_init("postern", LOG_LEVEL_ERROR);
	log_set_style(LOG_PLAIN);
	tls_init();
	loop_init();
	if (read_configuration(outside) == -1)
		return CONTROL_CONFIG;
	read_chains(outside);
	if (!look)
		return -1;
	outside->arena = arena_new(ARENA_MAX);
	outside->trust_pem = outside_read_file(outside->conf->trust_file);
	if (make_resolver(outside) == -1)
		return CONTROL_CONFIG;
	outside->fetcher = fetcher_new(outside->trust_pem);
	return -1;
}

void outside_close(struct outside *outside)
{
	stream_end_all();
	fetcher_free(outside->fetcher);
	resolver_free(outside->resolver);
	if (outside->arena != NULL)
		arena_free(outside->arena);
	for (size_t i = 0; outside->chains != NULL &&
	    i < outside->conf->certificate_count; i++)
		mem_free(outside->chains[i]);
	mem_free(outside->chains);
	mem_free(outside->trust_pem);
	conf_free(outside->conf);
	mem_free(outside->text);
	mem_free(outside->path);
	loop_release();
	log_flush();
}

/* --- lookups --- */

/* A lookup under way. */
struct lookup {
	struct arena		*arena;
	struct dns_answer	*answer;
};

static void *copy(struct arena *arena, const void *items, size_t count,
    size_t size)
{
	return items == NULL || count == 0 ? NULL :
	    arena_dup(arena, items, count * size);
}

static void copy_texts(struct arena *arena, struct dns_answer *answer)
{
	for (size_t i = 0; answer->texts != NULL && i < answer->count; i++)
		answer->texts[i] = arena_dup(arena, answer->texts[i],
		    answer->text_lengths[i] + 1);
	for (size_t i = 0; answer->names != NULL && i < answer->count; i++)
		answer->names[i] = arena_dup_string(arena, answer->names[i]);
	for (size_t i = 0; answer->tlsa != NULL && i < answer->count; i++)
		answer->tlsa[i].data = copy(arena, answer->tlsa[i].data,
		    answer->tlsa[i].length, 1);
}

static void on_answer(void *arg, const struct dns_answer *answer)
{
	struct lookup *lookup = arg;
	struct arena *arena = lookup->arena;
	struct dns_answer *own = arena_dup(arena, answer, sizeof(*answer));

	own->mx = copy(arena, answer->mx, answer->count, sizeof(*own->mx));
	own->addresses = copy(arena, answer->addresses, answer->count,
	    sizeof(*own->addresses));
	own->names = copy(arena, answer->names, answer->count,
	    sizeof(*own->names));
	own->tlsa = copy(arena, answer->tlsa, answer->count,
	    sizeof(*own->tlsa));
	own->texts = copy(arena, answer->texts, answer->count,
	    sizeof(*own->texts));
	own->text_lengths = copy(arena, answer->text_lengths, answer->count,
	    sizeof(*own->text_lengths));
	copy_texts(arena, own);
	lookup->answer = own;
	loop_stop();
}

const struct dns_answer *outside_lookup(struct outside *outside,
    const char *name, enum dns_type type)
{
	struct lookup lookup = { .arena = outside->arena };

	resolver_lookup(outside->resolver, name, type, on_answer, &lookup);
	loop_run();
	return lookup.answer;
}

size_t outside_addresses(struct outside *outside, const char *name,
    uint16_t port, struct endpoint *out, size_t max)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	size_t count = 0;

	for (size_t k = 0; k < 2; k++) {
		const struct dns_answer *answer = outside_lookup(outside,
		    name, types[k]);

		if (answer->result != FACT_DATA)
			continue;
		for (size_t i = 0; i < answer->count && count < max; i++) {
			char text[ENDPOINT_TEXT_MAX];

			endpoint_format(&answer->addresses[i], text,
			    sizeof(text));
			if (endpoint_parse(&out[count], text, port) == 0)
				count++;
		}
	}
	return count;
}

/* --- the policy --- */

/* A fetch under way. */
struct fetching {
	struct arena		*arena;
	struct fetch_answer	*answer;
};

static void on_fetched(void *arg, const struct fetch_answer *answer)
{
	struct fetching *fetching = arg;

	*fetching->answer = *answer;
	if (answer->result == FETCH_BODY)
		fetching->answer->body = arena_dup_text(fetching->arena,
		    answer->body, answer->length);
	loop_stop();
}

void outside_fetch(struct outside *outside, const char *domain,
    uint16_t port, struct fetch_answer *answer)
{
	struct endpoint addresses[FETCH_ADDRESSES_MAX];
	struct fetching fetching = { outside->arena, answer };
	char host[300];
	struct fetch_question question = {
		.domain = domain,
		.addresses = addresses,
		.milliseconds = outside->conf->sts_fetch_timeout * 1000,
		.allow_loopback = outside->conf->allow_loopback,
	};

	snprintf(host, sizeof(host), "mta-sts.%s", domain);
	question.count = outside_addresses(outside, host, port, addresses,
	    FETCH_ADDRESSES_MAX);
	fetch_start(outside->fetcher, &question, on_fetched, &fetching);
	loop_run();
}
