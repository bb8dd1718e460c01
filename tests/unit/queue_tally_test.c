/* SPDX-License-Identifier: ISC */
/*
 * Counts against a plain list of what was put in: exact without bounds that
 * matter, and with tiny ones, where names share a place and are taken out of it
 * again in any order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "queue/tally.h"

enum { SLICES = 300, DOMAINS = 12, HOSTS = 9, RECIPIENTS = 5, STEPS = 20000,
    BASE = 1700000000 };

/* One slice of the model: a message of its own. */
struct item {
	bool			 used;
	char			 domain[16];
	unsigned		 number;	/* of the domain */
	struct tally_slice	 slice;
	struct status		 storage[RECIPIENTS];
	const struct status	*statuses[RECIPIENTS];
	uint64_t		 bytes;
};

static struct item *items;

static unsigned below(unsigned limit)
{
	return (unsigned)rand() % limit;
}

static void fill(struct item *item)
{
	item->number = below(DOMAINS);
	snprintf(item->domain, sizeof(item->domain), "d%u.test",
	    item->number);
	item->bytes = below(1000);
	item->slice = (struct tally_slice){ .domain = item->domain,
	    .lane = below(3), .state = (enum tally_state)below(TALLY_STATES),
	    .arrival = ((int64_t)BASE + below(3600)) * 1000,
	    .statuses = item->statuses,
	    .recipient_count = 1 + below(RECIPIENTS) };
	for (unsigned i = 0; i < item->slice.recipient_count; i++) {
		struct status *status = &item->storage[i];

		item->statuses[i] = below(3) == 0 ? NULL : status;
		status_set(status, STATUS_DEFERRED, below(2) == 0 ?
		    REASON_CONNECT : REASON_REPLY, "4.0.0", "no");
		if (below(4) > 0)
			snprintf(status->host, sizeof(status->host),
			    "mx%u.test[192.0.2.%u]", below(HOSTS), below(9));
	}
}

static void put_in(struct tally *tally, struct item *item)
{
	fill(item);
	item->used = true;
	tally_add(tally, &item->slice);
	tally_message(tally, item->slice.arrival, item->bytes, 1);
	tally_message_at(tally, item->domain, item->bytes, 1);
}

static void take_out(struct tally *tally, struct item *item)
{
	item->used = false;
	tally_message_at(tally, item->domain, item->bytes, -1);
	tally_remove(tally, &item->slice);
	tally_message(tally, item->slice.arrival, item->bytes, -1);
}

static void make_due(struct tally *tally, struct item *item)
{
	if (item->slice.state != TALLY_PENDING)
		return;
	item->slice.state = TALLY_DUE;
	tally_due(tally, item->domain, item->slice.lane,
	    item->slice.recipient_count);
}

static void one_step(struct tally *tally)
{
	struct item *item = &items[below(SLICES)];

	if (!item->used)
		put_in(tally, item);
	else if (below(3) == 0)
		make_due(tally, item);
	else
		take_out(tally, item);
}

/* --- what a list says, and what the tally says --- */

struct sums {
	uint64_t	 slices, messages, recipients, bytes;
	uint64_t	 states[TALLY_STATES];
	uint64_t	 untried, connect;
	int64_t		 oldest;
};

static void add_item(struct sums *sums, const struct item *item)
{
	const struct tally_slice *slice = &item->slice;

	sums->slices++;
	sums->messages++;
	sums->recipients += slice->recipient_count;
	sums->bytes += item->bytes;
	sums->states[slice->state] += slice->recipient_count;
	for (unsigned i = 0; i < slice->recipient_count; i++) {
		sums->untried += slice->statuses[i] == NULL;
		sums->connect += slice->statuses[i] != NULL &&
		    slice->statuses[i]->reason == REASON_CONNECT;
	}
	if (sums->oldest == 0 || slice->arrival < sums->oldest)
		sums->oldest = slice->arrival;
}

static void add_domain(struct sums *sums, const struct tally_domain *domain)
{
	const struct tally_group *group;
	int64_t oldest = tally_domain_oldest(domain);

	sums->slices += domain->slices;
	sums->messages += domain->messages;
	sums->recipients += domain->recipients;
	sums->bytes += domain->bytes;
	for (group = domain->groups; group != NULL; group = group->next) {
		for (int i = 0; i < TALLY_STATES; i++)
			sums->states[i] += group->states[i];
		for (uint32_t i = 0; i < group->cell_count; i++) {
			const struct tally_cell *cell = &group->cells[i];

			if (cell->host == TALLY_UNTRIED)
				sums->untried += cell->recipients;
			if (cell->reason == REASON_CONNECT)
				sums->connect += cell->recipients;
		}
	}
	if (sums->oldest == 0 || oldest < sums->oldest)
		sums->oldest = oldest;
}

static void assert_same(const struct sums *found, const struct sums *wanted)
{
	assert_int_equal(found->slices, wanted->slices);
	assert_int_equal(found->messages, wanted->messages);
	assert_int_equal(found->recipients, wanted->recipients);
	assert_int_equal(found->bytes, wanted->bytes);
	for (int i = 0; i < TALLY_STATES; i++)
		assert_int_equal(found->states[i], wanted->states[i]);
	assert_int_equal(found->untried, wanted->untried);
	assert_int_equal(found->connect, wanted->connect);
	/* Never too young, and to the second. */
	assert_true(found->oldest <= wanted->oldest);
}

struct check {
	struct sums	 all;		/* of the tally */
	struct sums	 others;	/* of the list: without a name */
	struct sums	 folded;	/* of the tally: "(others)" */
	bool		 named[DOMAINS];
};

/* A domain that has its own name has all of its slices there. */
static void check_domain(void *arg, const struct tally_domain *domain)
{
	struct check *check = arg;
	struct sums found = { 0 }, wanted = { 0 };
	unsigned number;

	add_domain(&check->all, domain);
	if (domain->is_others) {
		assert_string_equal(domain->name, "(others)");
		add_domain(&check->folded, domain);
		return;
	}
	assert_int_equal(sscanf(domain->name, "d%u.test", &number), 1);
	check->named[number] = true;
	for (unsigned i = 0; i < SLICES; i++)
		if (items[i].used && items[i].number == number)
			add_item(&wanted, &items[i]);
	add_domain(&found, domain);
	assert_same(&found, &wanted);
}

static void check_minutes(const struct tally *tally, const struct sums *wanted)
{
	const struct tally_minute *minutes;
	size_t count = tally_minutes(tally, &minutes);
	uint64_t messages = 0, recipients = 0, bytes = 0;

	for (size_t i = 0; i < count; i++) {
		messages += minutes[i].messages;
		recipients += minutes[i].recipients;
		bytes += minutes[i].bytes;
		assert_true(i < 2 || minutes[i].minute >
		    minutes[i - 1].minute);
	}
	assert_int_equal(messages, wanted->messages);
	assert_int_equal(recipients, wanted->recipients);
	assert_int_equal(bytes, wanted->bytes);
}

/* Recipients that were tried and reached a host, by the number of hosts. */
static void check_hosts(const struct tally *tally)
{
	for (uint32_t i = TALLY_FIRST_HOST; i < tally_hosts(tally); i++)
		if (tally_host_name(tally, i) != NULL)
			assert_null(strchr(tally_host_name(tally, i), '['));
}

static void check_all(const struct tally *tally)
{
	struct check check = { .named = { false } };
	struct sums wanted = { 0 };

	assert_false(tally_is_broken(tally));
	tally_each_domain(tally, check_domain, &check);
	for (unsigned i = 0; i < SLICES; i++) {
		if (!items[i].used)
			continue;
		add_item(&wanted, &items[i]);
		if (!check.named[items[i].number])
			add_item(&check.others, &items[i]);
	}
	assert_same(&check.all, &wanted);
	assert_same(&check.folded, &check.others);
	assert_int_equal(tally_messages(tally), wanted.messages);
	assert_int_equal(tally_bytes(tally), wanted.bytes);
	check_minutes(tally, &wanted);
	check_hosts(tally);
}

static void empty(struct tally *tally)
{
	const struct tally_minute *minutes;

	for (unsigned i = 0; i < SLICES; i++)
		if (items[i].used)
			take_out(tally, &items[i]);
	assert_false(tally_is_broken(tally));
	assert_int_equal(tally_domains(tally), 0);
	assert_int_equal(tally_minutes(tally, &minutes), 0);
	assert_int_equal(tally_messages(tally), 0);
	for (uint32_t i = TALLY_FIRST_HOST; i < tally_hosts(tally); i++)
		assert_null(tally_host_name(tally, i));
}

static void test_against_list(void **state)
{
	static const struct tally_bounds bounds[] = { { .domains = 0 },
	    { .domains = 4 }, { .hosts = 3 }, { .cells = 12 },
	    { .minutes = 7 },
	    { .domains = 3, .hosts = 2, .cells = 9, .minutes = 4 } };

	(void)state;
	items = mem_alloc_array(SLICES, sizeof(*items));
	for (size_t run = 0; run < sizeof(bounds) / sizeof(bounds[0]); run++) {
		struct tally *tally = tally_new(&bounds[run]);

		srand((unsigned)run + 1);
		for (int i = 0; i < STEPS; i++) {
			one_step(tally);
			if (i % 500 == 0)
				check_all(tally);
			/* Few of them, so that names come free. */
			if (i % 3000 == 0)
				empty(tally);
		}
		if (bounds[run].domains > 0)
			assert_true(tally_domains(tally) <=
			    bounds[run].domains + 1);
		empty(tally);
		tally_free(tally);
	}
	mem_free(items);
}

/* What cannot be: it is said once, and nothing is touched any more. */
static void test_broken(void **state)
{
	static const struct status *const statuses[] = { NULL };
	struct tally_slice slice = { .domain = "a.test",
	    .arrival = (int64_t)BASE * 1000, .statuses = statuses,
	    .recipient_count = 1 };
	struct tally *tally = tally_new(NULL);

	(void)state;
	tally_add(tally, &slice);
	slice.lane = 1;
	tally_remove(tally, &slice);
	assert_true(tally_is_broken(tally));
	slice.lane = 0;
	tally_remove(tally, &slice);
	assert_int_equal(tally_domains(tally), 1);
	tally_free(tally);
	tally = tally_new(NULL);
	tally_due(tally, "b.test", 0, 1);
	assert_true(tally_is_broken(tally));
	tally_free(tally);
}

static void take_name(void *arg, const struct tally_domain *domain)
{
	char *name = arg;

	snprintf(name, 64, "%s", domain->name);
}

/* With a bound of one: the second domain is one of the others, and gets no
 * place of its own while anything is counted there. */
static void test_others(void **state)
{
	static const struct status *const statuses[] = { NULL };
	struct tally_bounds bounds = { .domains = 1 };
	struct tally_slice slices[2] = { { .domain = "a.test",
	    .arrival = 1000, .statuses = statuses, .recipient_count = 1 },
	    { .domain = "b.test", .arrival = 1000, .statuses = statuses,
	    .recipient_count = 1 } };
	struct tally *tally = tally_new(&bounds);
	char name[64];

	(void)state;
	tally_add(tally, &slices[0]);
	tally_add(tally, &slices[1]);
	tally_remove(tally, &slices[0]);
	tally_add(tally, &slices[1]);
	assert_int_equal(tally_domains(tally), 1);
	tally_each_domain(tally, take_name, name);
	assert_string_equal(name, "(others)");
	tally_remove(tally, &slices[1]);
	tally_remove(tally, &slices[1]);
	assert_int_equal(tally_domains(tally), 0);
	tally_add(tally, &slices[1]);
	tally_each_domain(tally, take_name, name);
	assert_string_equal(name, "b.test");
	assert_false(tally_is_broken(tally));
	tally_free(tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_list),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_others),
	};

	log_init("test", LOG_LEVEL_FATAL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
