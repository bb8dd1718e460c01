/* SPDX-License-Identifier: ISC */
/*
 * A job carries the recipients of one domain, whatever leads several domains
 * to one place: policy is asked by that domain, so a second one in the job
 * would be sent by rules that are not its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

#include "base/buf.h"
#include "tests/queue_world.h"

enum { DOMAINS = 3, EACH = 130 };

static struct world world;
static size_t seen;

static int set_up(void **state)
{
	(void)state;
	world_open(&world, "destination-concurrency = 20\n"
	    "route \"*.test\" { host = \"smarthost.example\" mx = no }\n");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

static void look_at(struct world *w, struct job *job)
{
	struct status statuses[EACH];

	(void)w;
	assert_string_equal(job->next.host, "smarthost.example");
	assert_true(job->recipient_count <= EACH);
	for (size_t i = 0; i < job->recipient_count; i++, seen++) {
		assert_int_equal(0, strcasecmp(job->domain, strrchr(
		    job->recipients[i].address, '@') + 1));
		world_delivered(&statuses[i]);
	}
	worker_finish(job, statuses, false);
}

/* One after the other round the domains; the case of a domain is a detail. */
static void one_domain_a_job(void **state)
{
	static const char *const names[DOMAINS] = { "bank.test", "may.test",
	    "BANK.test" };
	struct buf to;
	size_t i;

	(void)state;
	buf_init(&to, 1 << 20);
	for (i = 0; i < DOMAINS * EACH; i++)
		buf_print(&to, "%su%zu@%s", i == 0 ? "" : " ", i,
		    names[i % DOMAINS]);
	world.on_job = look_at;
	world_send(&world, "a@sender.example", buf_string(&to), "x\r\n");
	buf_release(&to);
	assert_true(world_wait_empty(&world));
	assert_int_equal(world.taken, 5);
	assert_int_equal(seen, DOMAINS * EACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_domain_a_job, set_up,
		    tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
