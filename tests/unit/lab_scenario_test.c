/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/scenario*.c: files into scenarios, mistakes into sentences with
 * their lines, and worlds under faults. All scenarios that come with the lab
 * are read, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "tools/lab/driver.h"
#include "tools/lab/scenario.h"

#define STEP "step s { to = a@example.net expect = deferred }\n"

static char directory[] = "/tmp/lab-scenario-XXXXXX";

/* Reads text as DIR/one.scenario; errors have the file's name taken off. */
static struct lab_scenario *read_text(const char *text, char **errors)
{
	char *path = mem_print("%s/one.scenario", directory);
	FILE *file = fopen(path, "w");
	struct lab_scenario *scenario;

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	scenario = lab_scenario_read(path, errors);
	if (*errors != NULL) {
		assert_int_equal(strncmp(*errors, path, strlen(path)), 0);
		memmove(*errors, *errors + strlen(path),
		    strlen(*errors) - strlen(path) + 1);
	}
	unlink(path);
	mem_free(path);
	return scenario;
}

static const char whole_text[] =
    "title = { \"Two\", \"words\" }\n"
    "clauses = { \"RFC 7672 2.2\" }	# a comment\n"
    "zone example.net {\n"
    "	records = { \"@ MX 10 mx\",	# and one in a list\n"
    "	    \"_25._tcp.mx TLSA 3 1 1 @mx\" }\n"
    "	signing = wrong-ds\n"
    "	answers = { \"@ A servfail\" }\n"
    "}\n"
    "zone other.example { }\n"
    "certificate mx { names = { mx.example.net } issuer = self }\n"
    "host mx.example.net {\n"
    "	addresses = { 192.0.2.1, \"2001:db8::1\" }\n"
    "	certificate = mx\n"
    "	behaviour = { \"ehlo 250-a|250 b\", \"quit close\" }\n"
    "}\n"
    "policy example.net {\n"
    "	addresses = 203.0.113.1  certificate = mx\n"
    "	body = { \"a: b\", \"c: d\" }\n"
    "}\n"
    "fault one {\n"
    "	zone example.net { signing = signed  answers = { } }\n"
    "	host mx.example.net { path = strip }\n"
    "}\n"
    "fault two {\n"
    "	host mx.example.net { port = 26 }\n"
    "	host mx2.example.net { addresses = { 192.0.2.2 } tls = none }\n"
    "}\n"
    "sender { level = dane-only }\n"
    "step a { to = bob@example.net  expect = clear }\n"
    "step b { faults = { one, two }  after = 3  flush = yes\n"
    "	expect = deferred  accept = { waiting }\n"
    "	untouched = { mx.example.net } }\n";

static struct lab_scenario *whole(void)
{
	char *errors;
	struct lab_scenario *scenario = read_text(whole_text, &errors);

	assert_string_equal(errors != NULL ? errors : "", "");
	assert_non_null(scenario);
	return scenario;
}

static void test_values(void **state)
{
	struct lab_scenario *scenario = whole();
	const struct lab_world *world = &scenario->world;

	(void)state;
	assert_string_equal(scenario->name, "one");
	assert_string_equal(scenario->title, "Two words");
	assert_string_equal(scenario->text, "");
	assert_int_equal(scenario->clauses.count, 1);
	assert_string_equal(world->zones[0].name, "example.net");
	assert_int_equal(world->zones[0].records.count, 2);
	assert_int_equal(world->zones[0].signing, LAB_WRONG_DS);
	assert_int_equal(world->certificates[0].issuer, LAB_ISSUER_SELF);
	assert_int_equal(world->hosts[0].addresses.count, 2);
	assert_string_equal(world->hosts[0].behaviour.items[0],
	    "ehlo 250-a|250 b");
	assert_string_equal(world->policies[0].body, "a: b\r\nc: d\r\n");
	assert_string_equal(scenario->sender.level, "dane-only");
	assert_int_equal(scenario->fault_count, 2);
	lab_scenario_free(scenario);
}

static void test_defaults(void **state)
{
	struct lab_scenario *scenario = whole();
	const struct lab_world *world = &scenario->world;

	(void)state;
	assert_int_equal(world->zones[1].signing, LAB_SIGNED);
	assert_int_equal(world->zones[1].validity, LAB_VALID);
	assert_int_equal(world->zones[1].denial, LAB_NSEC);
	assert_int_equal(world->zones[1].records.count, 0);
	assert_string_equal(world->certificates[0].common_name, "");
	assert_int_equal(world->certificates[0].chain, LAB_CHAIN_FULL);
	assert_int_equal(world->certificates[0].key, LAB_KEY_P256);
	assert_int_equal(world->certificates[0].intermediates, 0);
	assert_true(world->certificates[0].issuer_authority);
	assert_int_equal(world->zones[1].servers, 1);
	assert_int_equal(world->zones[1].negative_ttl, 1);
	assert_int_equal(world->hosts[0].tickets, 2);
	assert_int_equal(world->hosts[0].unknown_name, LAB_NAME_SERVED);
	assert_int_equal(world->policies[0].padding, 0);
	assert_false(world->policies[0].needs_name);
	assert_int_equal(world->policies[0].line_ends, LAB_ENDS_CRLF);
	assert_false(scenario->in_depth);
	assert_int_equal(world->hosts[0].port, 25);
	assert_int_equal(world->hosts[0].tls, LAB_TLS_STARTTLS);
	assert_string_equal(world->hosts[0].path, "");
	assert_int_equal(world->policies[0].status, 200);
	assert_string_equal(world->policies[0].type, "text/plain");
	assert_string_equal(scenario->sender.broken_tls, "");
	assert_string_equal(scenario->sender.memory, "");
	assert_int_equal(world->hosts[0].requiretls, LAB_REQUIRETLS_NO);
	assert_false(scenario->steps[0].requiretls);
	assert_string_equal(scenario->steps[0].parameters, "");
	assert_int_equal(scenario->steps[0].header.count, 0);
	assert_int_equal(scenario->steps[0].notification.count, 0);
	assert_false(lab_scenario_asks_requiretls(scenario));
	lab_scenario_free(scenario);
}

static void test_steps(void **state)
{
	struct lab_scenario *scenario = whole();
	const struct lab_step *steps = scenario->steps;

	(void)state;
	assert_int_equal(scenario->step_count, 2);
	assert_string_equal(steps[0].to, "bob@example.net");
	assert_int_equal(steps[0].expect, LAB_CLEAR);
	/* MAIL in clear is wrong unless clear is right. */
	assert_false(steps[0].no_clear_mail);
	assert_true(steps[1].no_clear_mail);
	assert_string_equal(steps[1].to, "");
	assert_int_equal(steps[1].after, 3);
	assert_true(steps[1].flush);
	assert_int_equal(steps[1].faults.count, 2);
	assert_string_equal(steps[1].accept.items[0], "waiting");
	lab_scenario_free(scenario);
}

/* Every world has the sender's own domain, unless the file brings it. */
static void test_origin(void **state)
{
	struct lab_scenario *scenario = whole();
	char *errors;

	(void)state;
	assert_int_equal(scenario->world.zone_count, 3);
	assert_string_equal(scenario->world.zones[2].name, "origin.example");
	assert_int_equal(scenario->world.host_count, 2);
	assert_string_equal(scenario->world.hosts[1].name,
	    "mx.origin.example");
	assert_int_equal(scenario->world.hosts[1].tls, LAB_TLS_NONE);
	lab_scenario_free(scenario);
	scenario = read_text("title = x\n"
	    "zone origin.example { }\n" STEP, &errors);
	assert_non_null(scenario);
	assert_int_equal(scenario->world.zone_count, 1);
	assert_int_equal(scenario->world.host_count, 0);
	lab_scenario_free(scenario);
}

static void test_faults(void **state)
{
	struct lab_scenario *scenario = whole();
	struct arena *arena = arena_new(1 << 20);
	const struct lab_texts none = { NULL, 0 };
	const struct lab_world *healed = lab_world_with(scenario, &none,
	    arena), *world;

	(void)state;
	assert_int_equal(healed->zones[0].signing, LAB_WRONG_DS);
	assert_string_equal(healed->hosts[0].path, "");
	world = lab_world_with(scenario, &scenario->steps[1].faults, arena);
	/* what a fault gives is replaced, an empty list as well */
	assert_int_equal(world->zones[0].signing, LAB_SIGNED);
	assert_int_equal(world->zones[0].answers.count, 0);
	assert_string_equal(world->hosts[0].path, "strip");
	assert_int_equal(world->hosts[0].port, 26);
	/* all the rest stays */
	assert_int_equal(world->zones[0].records.count, 2);
	assert_string_equal(world->hosts[0].certificate, "mx");
	assert_int_equal(world->hosts[0].addresses.count, 2);
	/* a section of its own is added, behind */
	assert_int_equal(world->host_count, 3);
	assert_string_equal(world->hosts[2].name, "mx2.example.net");
	assert_int_equal(world->hosts[2].port, 25);
	/* and the scenario is as it was */
	assert_int_equal(scenario->world.host_count, 2);
	assert_int_equal(scenario->world.hosts[0].port, 25);
	arena_free(arena);
	lab_scenario_free(scenario);
}

/* The later of two faults wins. */
static void test_fault_order(void **state)
{
	char *errors, *names[] = { (char *)(uintptr_t)"b",
	    (char *)(uintptr_t)"a" };
	const struct lab_texts both = { names, 2 };
	struct lab_scenario *scenario = read_text("title = x\n"
	    "host h { addresses = { 192.0.2.1 } tls = none }\n"
	    "fault a { host h { path = strip } }\n"
	    "fault b { host h { path = block port = 26 } }\n" STEP, &errors);
	struct arena *arena = arena_new(1 << 20);
	const struct lab_world *world;

	(void)state;
	assert_non_null(scenario);
	world = lab_world_with(scenario, &both, arena);
	assert_string_equal(world->hosts[0].path, "strip");
	assert_int_equal(world->hosts[0].port, 26);
	arena_free(arena);
	lab_scenario_free(scenario);
}

static const struct row {
	const char	*text;
	const char	*errors;	/* without a line's end: how they
					 * begin */
} mistakes[] = {
	{ "title = x\n",
	    ": there is no step; add step NAME { to = ADDRESS expect = "
	    "OUTCOME }\n" },
	{ STEP, ": title is missing\n" },
	{ "title = x\nstep s { to = a@b }\n",
	    ":2: step s: expect has to say what becomes of the message; "
	    "accepted: authenticated, encrypted, clear, waiting, deferred, "
	    "bounced\n" },
	{ "title = x\nstep s { expect = clear }\n",
	    ":2: step s: to is the address of a recipient; a step has a "
	    "message or a dialogue\n" },
	{ "title = x\nstep s { to = bob expect = clear }\n",
	    ":2: step s: to is the address of a recipient; a step has a "
	    "message or a dialogue\n" },
	{ "title = x\nstep s { to = a@b expect = lost }\n",
	    ":2: expect cannot be 'lost'; accepted: authenticated, "
	    "encrypted, clear, waiting, deferred, bounced, safe, unsafe, "
	    "unserved\n" },
	{ "title = x\nstep s { to = a@b expect = clear after = 1m }\n",
	    ":2: after cannot be '1m'; accepted: a whole number from 0 to "
	    "60\n" },
	{ "title = x\nstep s { to = a@b expect = clear flush = maybe }\n",
	    ":2: 'maybe': accepted: yes, no\n" },
	{ "title = x\nstep s { to = a@b expect = clear\n"
	    "faults = { nope } }\n",
	    ":3: there is no fault 'nope'; add a section fault nope { ... "
	    "}\n" },
	{ "title = x\nstep s { to = a@b expect = clear\n"
	    "untouched = { mx } }\n",
	    ":3: there is no host 'mx' in the world\n" },
	{ "title = x\n" STEP "host h {\n"
	    "addresses = { 10.0.0.1 } tls = none }\n",
	    ":4: '10.0.0.1' is no address of a mail host; accepted: "
	    "192.0.2.N, 2001:db8::N\n" },
	{ "title = x\n" STEP "host h { addresses = { 192.0.2.1 } }\n",
	    ":3: host h has no certificate; " },
	{ "title = x\n" STEP "host h { addresses = { 192.0.2.1 }\n"
	    "certificate = q }\n",
	    ":4: there is no certificate 'q'; add a section certificate q { "
	    "... }\n" },
	/* in the world that the fault makes */
	{ "title = x\n" STEP "host h { addresses = { 192.0.2.1 }\n"
	    "tls = none }\nfault f {\nhost h {\ncertificate = q } }\n",
	    ":7: there is no certificate 'q'; add a section certificate q { "
	    "... }\n" },
	{ "title = x\n" STEP "zone z { records = { \"@ MX\" } }\n",
	    ":3: '@ MX' is no record: " },
	{ "title = x\n" STEP "zone z { records = {\n"
	    "\"@ A 192.0.2.1\",\n\"m 60 TLSA 3 1 1 @q\" } }\n",
	    ":5: there is no certificate 'q'; add a section certificate q { "
	    "... }\n" },
	{ "title = x\n" STEP "zone z { answers = { \"@ MX never\" } }\n",
	    ":3: '@ MX never' is no answer: " },
	{ "title = x\n" STEP "zone Z.example { }\n",
	    ":3: 'Z.example': names are written in lower case\n" },
	{ "title = x\n" STEP "zone z.example. { }\n",
	    ":3: 'z.example.': names are written without a final dot\n" },
	{ "title = x\n" STEP "zone z { signnig = signed }\n",
	    ":3: unknown option 'signnig' in zone; accepted: records, "
	    "signing, validity, denial, expired-sets, future-sets, "
	    "unsigned-sets, tampered-sets, answers, substitutes, servers, "
	    "iterations, negative-ttl\n" },
	{ "title = x\n" STEP "sender { routes = { \"a b 25 tls\" } }\n",
	    ":3: 'a b 25 tls' is no route; accepted: \"DOMAIN HOST PORT "
	    "starttls\" or implicit\n" },
	{ "title = x\ntitle = y\n" STEP,
	    ":2: title is given again, first in line 1; remove one of "
	    "them\n" },
	{ "title = x\nstep s { to = a@b expect = clear\n"
	    "flush = { yes, no } }\n", ":3: flush takes one value\n" },
	{ "title = x\n" STEP "sender { level = { } }\n",
	    ": level takes one value\n" },
	{ "title = \"x\n" STEP,
	    ":1: the string that begins with \" does not end on its line; "
	    "close it with \"\n" },
};

static void test_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		char *errors;
		struct lab_scenario *scenario = read_text(mistakes[i].text,
		    &errors);

		print_message("%s", mistakes[i].text);
		assert_null(scenario);
		assert_non_null(errors);
		if (strchr(mistakes[i].errors, '\n') == NULL &&
		    strlen(errors) > strlen(mistakes[i].errors))
			errors[strlen(mistakes[i].errors)] = '\0';
		assert_string_equal(errors, mistakes[i].errors);
		mem_free(errors);
	}
}

static void test_no_file(void **state)
{
	char *errors;

	(void)state;
	assert_null(lab_scenario_read("/nonexistent/x.scenario", &errors));
	assert_string_equal(errors,
	    "/nonexistent/x.scenario: No such file or directory\n");
	mem_free(errors);
}

/* Those that come with the lab: readable, titled, with a text and clauses. */
static void test_ours(void **state)
{
	char *folder = mem_print("%s/tools/lab/scenarios",
	    getenv("POSTERN_SRCDIR") != NULL ? getenv("POSTERN_SRCDIR") :
	    ".");
	size_t count;
	char **names = lab_list_names(folder, ".scenario", &count);

	(void)state;
	assert_true(count >= 19);
	for (size_t i = 0; i < count; i++) {
		char *path = mem_print("%s/%s.scenario", folder, names[i]);
		char *errors;
		struct lab_scenario *scenario = lab_scenario_read(path,
		    &errors);

		assert_string_equal(errors != NULL ? errors : "", "");
		assert_string_equal(scenario->name, names[i]);
		assert_true(strlen(scenario->text) > 60);
		assert_true(scenario->clauses.count > 0);
		lab_scenario_free(scenario);
		mem_free(names[i]);
		mem_free(path);
	}
	mem_free(names);
	mem_free(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_fault_order),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_ours),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}
