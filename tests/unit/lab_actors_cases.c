/* SPDX-License-Identifier: ISC */
/*
 * All hosts of a table stand at the same time and are called in its order; all
 * rows are looked at, whatever the first ones give.
 */
#include "tests/unit/lab_actors_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/lab_actors_client.h"
#include "tests/unit/lab_actors_world.h"

struct lab_certificate case_certificates[CASE_CERTIFICATES] = {
	{ .name = (char[]){ "one" }, .common_name = (char[]){ "one.example" },
	    .organization = (char[]){ "" }, .issuer = LAB_ISSUER_SELF },
	{ .name = (char[]){ "two" }, .common_name = (char[]){ "two.example" },
	    .organization = (char[]){ "" }, .issuer = LAB_ISSUER_CA,
	    .intermediates = 1, .issuer_authority = true }
};

struct lab_host case_host(struct arena *arena, const char *name, int number)
{
	struct lab_host host = { .name = arena_dup_string(arena, name),
	    .port = SMTP_PORT, .certificate = arena_dup_string(arena, "one"),
	    .ciphers = arena_dup_string(arena, ""), .tickets = 2,
	    .path = arena_dup_string(arena, "") };

	host.addresses.items = arena_alloc(arena, sizeof(char *));
	host.addresses.items[0] = arena_print(arena, "127.0.1.%d", number);
	host.addresses.count = 1;
	return host;
}

struct lab_texts case_texts(struct arena *arena, const char *const *texts)
{
	struct lab_texts copy = { .count = 0 };
	size_t i;

	while (texts[copy.count] != NULL)
		copy.count++;
	copy.items = arena_alloc_array(arena, copy.count + 1, sizeof(char *));
	for (i = 0; i < copy.count; i++)
		copy.items[i] = arena_dup_string(arena, texts[i]);
	return copy;
}

static struct lab_host *make_hosts(const struct host_case *cases,
    size_t count, struct arena *arena)
{
	struct lab_host *hosts = arena_alloc_array(arena, count,
	    sizeof(*hosts));
	size_t i;

	for (i = 0; i < count; i++) {
		const char *const lines[] = { cases[i].behaviour[0],
		    cases[i].behaviour[1], cases[i].behaviour[2], NULL };

		hosts[i] = case_host(arena, cases[i].name, (int)i + 1);
		hosts[i].tls = cases[i].tls;
		hosts[i].path = arena_dup_string(arena, cases[i].path);
		hosts[i].behaviour = case_texts(arena, lines);
	}
	return hosts;
}

static int differ(const char *name, const char *got, const char *wanted)
{
	if (strcmp(got, wanted) == 0)
		return 0;
	print_error("%s: wanted: %s\n%s: got:    %s\n", name, wanted, name,
	    got);
	return 1;
}

static int run_case(const struct host_case *row, const char *address,
    struct scene *scene)
{
	struct call call = { .address = address, .port = SMTP_PORT,
	    .insist = row->client == INSISTS,
	    .careless = row->client == CARELESS,
	    .implicit = row->tls == LAB_TLS_IMPLICIT, .expected = row->talk };
	char story[1024] = "";
	struct talk talk;

	call_make(&call, &talk);
	if (row->story != NULL)
		scene_story(scene, row->name, story, sizeof(story));
	return differ(row->name, talk.words, row->talk) +
	    differ(row->name, story, row->story != NULL ? row->story : "");
}

int cases_run(const struct host_case *cases, size_t count)
{
	struct arena *arena = arena_new(1 << 20);
	struct lab_host *hosts = make_hosts(cases, count, arena);
	const struct lab_world world = { .hosts = hosts, .host_count = count,
	    .certificates = case_certificates,
	    .certificate_count = CASE_CERTIFICATES };
	struct scene scene;
	int wrong = 0;
	size_t i;

	scene_start(&scene, &world, false);
	for (i = 0; i < count; i++)
		wrong += run_case(&cases[i], hosts[i].addresses.items[0],
		    &scene);
	/* What sees nothing says nothing. */
	assert_null(scene_event(&scene, SILENCE_MS));
	scene_end(&scene);
	arena_free(arena);
	return wrong;
}
