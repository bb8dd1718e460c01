/* SPDX-License-Identifier: ISC */
/*
 * The commands that are proposed fit the scenario's own names, and are only
 * proposed when their program is there.
 */
#include "tools/lab/run_shell_talk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/lab/run_message.h"
#include "tools/lab/text.h"

static const struct tool {
	const char	*name, *package;	/* of Debian */
} tools[] = { { "dig", "bind9-dnsutils" }, { "swaks", "swaks" },
    { "openssl", "openssl" }, { "posttls-finger", "postfix" } };

enum { TOOLS = sizeof(tools) / sizeof(tools[0]) };

static bool is_at_hand(const char *name)
{
	const char *path = getenv("PATH");
	char *list = mem_dup_string(path != NULL ? path : ""), *rest = list;
	char *directory;
	bool found = false;

	while (!found && (directory = strsep(&rest, ":")) != NULL) {
		char *program = mem_print("%s/%s", *directory != '\0' ?
		    directory : ".", name);

		found = access(program, X_OK) == 0;
		mem_free(program);
	}
	mem_free(list);
	return found;
}

/* --- what is there --- */

static void put(const char *word, const char *text)
{
	printf("  %-15s ", word);
	lab_text_put(stdout, text);
	putchar('\n');
}

static void put_addresses(const char *word, const char *name,
    const struct lab_texts *addresses, const char *rest)
{
	char *text = mem_print("%s, %s%s%s", name, addresses->count > 0 ?
	    addresses->items[0] : "nowhere", addresses->count > 1 ?
	    " and others" : "", rest);

	put(word, text);
	mem_free(text);
}

static void put_world(const struct lab_world *world)
{
	char port[32];

	for (size_t i = 0; i < world->zone_count; i++)
		put("zone", world->zones[i].name);
	for (size_t i = 0; i < world->host_count; i++) {
		snprintf(port, sizeof(port), " port %d",
		    (int)world->hosts[i].port);
		put_addresses("mail host", world->hosts[i].name,
		    &world->hosts[i].addresses, port);
	}
	for (size_t i = 0; i < world->policy_count; i++)
		put_addresses("policy host", world->policies[i].domain,
		    &world->policies[i].addresses, "");
}

static bool is_in_force(const struct lab_state *state, const char *fault)
{
	for (size_t i = 0; i < state->faults->count; i++)
		if (strcmp(state->faults->items[i], fault) == 0)
			return true;
	return false;
}

static void put_faults(const struct lab_state *state)
{
	const struct lab_scenario *scenario = state->run->scenario;

	for (size_t i = 0; i < scenario->fault_count; i++)
		put(is_in_force(state, scenario->faults[i].name) ?
		    "fault in force" : "fault", scenario->faults[i].name);
}

/* --- what can be tried --- */

/* Where the first message of the scenario goes; null when there is none. */
static const char *recipient_of(const struct lab_scenario *scenario)
{
	for (size_t i = 0; i < scenario->step_count; i++)
		if (scenario->steps[i].to[0] != '\0')
			return scenario->steps[i].to;
	return NULL;
}

static void propose(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void propose(const char *program, const char *format, ...)
{
	va_list arguments;

	if (!is_at_hand(program))
		return;
	va_start(arguments, format);
	printf("  ");
	vprintf(format, arguments);
	putchar('\n');
	va_end(arguments);
}

static void propose_host(const struct lab_host *host)
{
	bool implicit = host->tls == LAB_TLS_IMPLICIT;

	propose("dig", "dig +dnssec TLSA _%d._tcp.%s", (int)host->port,
	    host->name);
	propose("openssl", "openssl s_client -connect %s:%d -servername %s%s",
	    host->name, (int)host->port, host->name, implicit ? "" :
	    " -starttls smtp");
}

static void propose_commands(const struct lab_state *state)
{
	const struct lab_scenario *scenario = state->run->scenario;
	const struct lab_world *world = &scenario->world;
	const char *to = recipient_of(scenario);
	const char *domain = to != NULL ? strrchr(to, '@') : NULL;

	if (domain != NULL)
		propose("dig", "dig +dnssec MX %s", ++domain);
	if (world->host_count > 0)
		propose_host(&world->hosts[0]);
	if (to != NULL && state->run->driver != NULL)
		propose("swaks", "swaks --server 127.0.0.1:%d --from "
		    LAB_SENDER " --to %s", LAB_PORT, to);
	else if (to != NULL)
		propose("swaks", "swaks --tls --from " LAB_SENDER " --to %s",
		    to);
	if (domain != NULL)
		propose("posttls-finger", "posttls-finger -c -l dane %s",
		    domain);
	if (world->policy_count > 0)
		propose("openssl", "openssl s_client -connect mta-sts.%s:443 "
		    "-servername mta-sts.%s", world->policies[0].domain,
		    world->policies[0].domain);
	if (domain != NULL && state->run->driver != NULL &&
	    strcmp(state->run->driver->name, "postern") == 0)
		propose("postern", "postern policy probe -c "
		    "$LAB_DIR/postern.conf %s", domain);
}

static void put_missing(void)
{
	bool any = false;

	for (size_t i = 0; i < TOOLS; i++) {
		if (is_at_hand(tools[i].name))
			continue;
		printf("%s %s (Debian: %s)", any ? "," :
		    "Not on this machine:", tools[i].name, tools[i].package);
		any = true;
	}
	if (any)
		putchar('\n');
}

void lab_shell_describe(const struct lab_state *state)
{
	const struct lab_run *run = state->run;
	const struct lab_scenario *scenario = run->scenario;
	char mta[200];

	printf("This is the world of %s: ", scenario->name);
	lab_text_put(stdout, scenario->title);
	putchar('\n');
	put_world(&scenario->world);
	put_faults(state);
	if (run->driver != NULL) {
		snprintf(mta, sizeof(mta), "%s, 127.0.0.1 port %d; its files "
		    "are in $LAB_DIR", run->driver->name, LAB_PORT);
		put("MTA under test", mta);
		put("driver", "$LAB_DRIVER start|stop|flush|refresh|log");
	}
	put("resolver", "127.0.0.1, validating");
	put("events", "$LAB_EVENTS: what the servers see, a JSON object a "
	    "line");
	put("certificates", "$LAB_CERTIFICATES/NAME.pem and NAME.key");
	put("authorities", "$LAB_CA, trust anchor $LAB_ANCHOR");
	if (run->record != NULL)
		put("packets", run->record);
	printf("Try:\n");
	propose_commands(state);
	printf("  tail -f $LAB_EVENTS\n");
	if (scenario->fault_count > 0)
		printf("  postern lab faults %s     (in force from now on; "
		    "without a name: none)\n", scenario->faults[0].name);
	put_missing();
	printf("The machine's files cannot be changed from here. `exit` ends "
	    "it, and all of this is gone.\n");
}
