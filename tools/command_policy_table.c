/* SPDX-License-Identifier: ISC */
/*
 * Nothing is decided here: words for members, and their places.
 */
#include "tools/command_policy_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tools/command_text.h"

enum { NAME_WIDTH = 34, KIND_WIDTH = 12, TIME_WIDTH = 20, DOMAIN_WIDTH = 28,
    LEVEL_WIDTH = 8, NETWORK_WIDTH = 24 };

/* --- memory --- */

/* What the object is about; kind gets what that is. */
static const char *subject_of(const json_t *object, const char **kind)
{
	static const char *const kinds[] = { "destination", "host", "pin" };
	size_t i;

	for (i = 0; i < 3; i++) {
		*kind = kinds[i];
		if (text_of(object, kinds[i])[0] != '\0')
			return text_of(object, kinds[i]);
	}
	*kind = "unknown";
	return "";
}

void policy_table_memory_heading(void)
{
	printf("%-*s %-*s %7s %7s  %-*s %s\n", NAME_WIDTH, "name", KIND_WIDTH,
	    "kind", "tls", "clear", TIME_WIDTH, "last under TLS", "expected");
}

static void table_pin(const json_t *pin)
{
	printf("%7s %7s  %-*s ", "-", "-", TIME_WIDTH, "-");
	text_print(text_of(pin, "level"), 0);
	if (text_of(pin, "reason")[0] != '\0') {
		printf(": ");
		text_print(text_of(pin, "reason"), 0);
	}
	putchar('\n');
}

void policy_table_memory(const json_t *object)
{
	const char *kind, *name = subject_of(object, &kind);
	const char *last = text_of(object, "tls-last");
	char expected[200];

	text_print(name, NAME_WIDTH);
	printf(" %-*s ", KIND_WIDTH, kind);
	if (strcmp(kind, "pin") == 0) {
		table_pin(object);
		return;
	}
	printf("%7lld %7lld  ", number_of(object, "tls"), number_of(object,
	    "clear"));
	text_print(last[0] == '\0' ? "never" : last, TIME_WIDTH);
	putchar(' ');
	text_join(json_object_get(object, "expects"), " ", expected,
	    sizeof(expected));
	text_print(expected[0] == '\0' ? "-" : expected, 0);
	if (text_of(object, "lost-since")[0] != '\0')
		printf("  LOST");
	putchar('\n');
}

/* "7, last at 2026-11-22T10:11:12Z" */
static void counted(const json_t *object, const char *label,
    const char *count, const char *last)
{
	const char *when = text_of(object, last);
	char shown[TEXT_BYTES];

	if (number_of(object, count) == 0)
		return;
	snprintf(shown, sizeof(shown), "%lld%s%s", number_of(object, count),
	    when[0] == '\0' ? "" : ", last at ", when);
	text_labelled(4, label, shown);
}

static void print_pin(const json_t *pin)
{
	char fingerprints[TEXT_BYTES];

	text_join(json_object_get(pin, "fingerprints"), " ", fingerprints,
	    sizeof(fingerprints));
	text_labelled(4, "level", text_of(pin, "level"));
	text_labelled(4, "sha-256", fingerprints);
	text_labelled(4, "reason", text_of(pin, "reason"));
	text_labelled(4, "by", text_of(pin, "author"));
	text_labelled(4, "made", text_of(pin, "made"));
}

void policy_print_memory(const json_t *object)
{
	const char *kind, *name = subject_of(object, &kind);
	char shown[TEXT_BYTES], expected[200];

	snprintf(shown, sizeof(shown), "%s (%s)", name, kind);
	text_line(0, shown);
	if (strcmp(kind, "pin") == 0) {
		print_pin(object);
		return;
	}
	text_join(json_object_get(object, "expects"), ", ", expected,
	    sizeof(expected));
	text_labelled(4, "expected", expected[0] == '\0' ? "nothing" :
	    expected);
	snprintf(shown, sizeof(shown), "%s to %s", text_of(object, "first"),
	    text_of(object, "last"));
	text_labelled(4, "seen", shown);
	counted(object, "under TLS", "tls", "tls-last");
	text_labelled(4, "  version", text_of(object, "version"));
	counted(object, "by DANE", "dane", "dane-last");
	counted(object, "by MTA-STS", "sts", "sts-last");
	snprintf(shown, sizeof(shown), "%lld in a row with a chain that holds",
	    number_of(object, "web"));
	text_labelled(4, "WebPKI", number_of(object, "web") == 0 ? "" :
	    shown);
	counted(object, "in clear", "clear", "clear-last");
	text_labelled(4, "LOST since", text_of(object, "lost-since"));
}

/* --- exceptions --- */

void policy_table_exception_heading(void)
{
	printf("%5s %-*s %-*s %-*s %6s  %s\n", "id", DOMAIN_WIDTH, "domain",
	    LEVEL_WIDTH, "level", TIME_WIDTH, "until", "uses", "reason");
}

void policy_table_exception(const json_t *object)
{
	printf("%5lld ", number_of(object, "id"));
	text_print(text_of(object, "domain"), DOMAIN_WIDTH);
	putchar(' ');
	text_print(text_of(object, "level"), LEVEL_WIDTH);
	putchar(' ');
	text_print(text_of(object, "until"), TIME_WIDTH);
	printf(" %6lld  ", number_of(object, "uses"));
	text_print(text_of(object, "reason"), 0);
	if (text_of(object, "author")[0] != '\0') {
		printf(", by ");
		text_print(text_of(object, "author"), 0);
	}
	putchar('\n');
}

void policy_print_exception(const char *did, const json_t *object)
{
	char shown[TEXT_BYTES];

	snprintf(shown, sizeof(shown), "%s exception %lld: %s, level %s, until "
	    "%s: %s", did, number_of(object, "id"), text_of(object, "domain"),
	    text_of(object, "level"), text_of(object, "until"),
	    text_of(object, "reason"));
	text_line(0, shown);
	snprintf(shown, sizeof(shown), "it decided %lld time(s), last at %s",
	    number_of(object, "uses"), text_of(object, "used"));
	if (number_of(object, "uses") > 0)
		text_line(0, shown);
}

/* --- greylisting --- */

void policy_table_greylist_heading(void)
{
	printf("%-7s %-*s %-*s  %s\n", "state", NETWORK_WIDTH, "network",
	    TIME_WIDTH, "again from", "who");
}

void policy_table_greylist(const json_t *object)
{
	bool known = strcmp(text_of(object, "state"), "known") == 0;

	text_print(text_of(object, "state"), 7);
	putchar(' ');
	text_print(text_of(object, "network"), NETWORK_WIDTH);
	putchar(' ');
	text_print(known ? "-" : text_of(object, "from"), TIME_WIDTH);
	printf("  ");
	if (known) {
		printf("all of @");
		text_print(text_of(object, "domain"), 0);
		printf(", last at ");
		text_print(text_of(object, "last"), 0);
	} else {
		putchar('<');
		text_print(text_of(object, "sender"), 0);
		printf("> to <");
		text_print(text_of(object, "recipient"), 0);
		putchar('>');
	}
	putchar('\n');
}

/* --- events --- */

static const char *mail_words(const char *mail)
{
	if (strcmp(mail, "waited") == 0)
		return "no mail was sent over it";
	if (strcmp(mail, "clear") == 0)
		return "mail was sent in clear";
	return strcmp(mail, "tls") == 0 ? "mail was sent under TLS" : mail;
}

static void print_expected(const json_t *expected)
{
	const char *source = text_of(expected, "source");
	char shown[TEXT_BYTES];

	if (!json_is_object(expected))
		return;
	snprintf(shown, sizeof(shown), "%s%s%s%s%s", text_of(expected,
	    "requirement"), source[0] == '\0' || strcmp(source, "none") == 0 ?
	    "" : ", by ", strcmp(source, "none") == 0 ? "" : source,
	    is_true(expected, "memory") ? "; memory expects TLS" : "",
	    text_of(expected, "requirement")[0] == '\0' && source[0] == '\0' &&
	    !is_true(expected, "memory") ? "nothing" : "");
	text_labelled(4, "expected", shown);
}

static void print_seen(const json_t *seen)
{
	char shown[TEXT_BYTES];

	if (!json_is_object(seen))
		return;
	snprintf(shown, sizeof(shown), "%s%s%s", text_of(seen, "stage"),
	    text_of(seen, "symptom")[0] == '\0' ? "" : ", ",
	    text_of(seen, "symptom"));
	text_labelled(4, "seen", shown);
	text_labelled(4, "  result", text_of(seen, "result"));
	text_labelled(4, "  keywords", text_of(seen, "keywords"));
	text_labelled(4, "  reply", text_of(seen, "reply"));
	snprintf(shown, sizeof(shown), "%s %s", text_of(seen, "version"),
	    text_of(seen, "cipher"));
	text_labelled(4, "  TLS", text_of(seen, "version")[0] == '\0' ? "" :
	    shown);
	text_join(json_object_get(seen, "chain"), " ", shown, sizeof(shown));
	text_labelled(4, "  sha-256", shown);
	text_labelled(4, "  problem", text_of(seen, "problem"));
}

void policy_print_event(const json_t *object)
{
	const char *signature = text_of(object, "signature");
	const char *address = text_of(object, "address");
	bool plain = signature[0] == '\0' || strcmp(signature, "none") == 0;
	char shown[TEXT_BYTES];

	snprintf(shown, sizeof(shown), "%s  %s%s%s  %s%s%s%s%s%s",
	    text_of(object, "last"), text_of(object, "kind"), plain ? "" :
	    "/", plain ? "" : signature, text_of(object, "domain"),
	    text_of(object, "host")[0] == '\0' ? "" : " at ", text_of(object,
	    "host"), address[0] == '\0' ? "" : " [", address,
	    address[0] == '\0' ? "" : "]");
	text_line(0, shown);
	snprintf(shown, sizeof(shown), "%lld, from %s", number_of(object,
	    "count"), text_of(object, "first"));
	if (number_of(object, "count") > 1)
		text_labelled(4, "times", shown);
	print_expected(json_object_get(object, "expected"));
	print_seen(json_object_get(object, "seen"));
	text_labelled(4, "mail", mail_words(text_of(object, "mail")));
	text_join(json_object_get(object, "destinations"), ", ", shown,
	    sizeof(shown));
	text_labelled(4, "domains", shown);
	text_labelled(4, "over since", text_of(object, "over"));
}

/* --- outcomes --- */

static void print_failure(const json_t *failure)
{
	const char *address = text_of(failure, "receiving-ip");
	const char *host = text_of(failure, "receiving-mx-hostname");
	char shown[TEXT_BYTES];

	snprintf(shown, sizeof(shown), "%lld %s%s%s%s%s%s%s%s",
	    number_of(failure, "failed-session-count"), text_of(failure,
	    "result-type"), host[0] == '\0' ? "" : " at ", host,
	    address[0] == '\0' ? "" : " [", address, address[0] == '\0' ? "" :
	    "]", text_of(failure, "failure-reason-code")[0] == '\0' ? "" :
	    ": ", text_of(failure, "failure-reason-code"));
	text_labelled(4, "failed", shown);
}

void policy_print_outcome(const json_t *object)
{
	const json_t *policy = json_object_get(object, "policy");
	const json_t *summary = json_object_get(object, "summary");
	const json_t *failures = json_object_get(object, "failure-details");
	char shown[TEXT_BYTES], text[TEXT_BYTES / 2];
	size_t i;

	snprintf(shown, sizeof(shown), "%s  %s", text_of(object, "day"),
	    text_of(object, "domain"));
	text_line(0, shown);
	text_join(json_object_get(policy, "policy-string"), "; ", text,
	    sizeof(text));
	snprintf(shown, sizeof(shown), "%s of %s%s%s", text_of(policy,
	    "policy-type"), text_of(policy, "policy-domain"), text[0] == '\0' ?
	    "" : ": ", text);
	text_labelled(4, "policy", shown);
	text_join(json_object_get(policy, "mx-host"), ", ", shown,
	    sizeof(shown));
	text_labelled(4, "mail hosts", shown);
	snprintf(shown, sizeof(shown), "%lld succeeded, %lld failed",
	    number_of(summary, "total-successful-session-count"),
	    number_of(summary, "total-failure-session-count"));
	text_labelled(4, "sessions", shown);
	for (i = 0; i < json_array_size(failures); i++)
		print_failure(json_array_get(failures, i));
}
