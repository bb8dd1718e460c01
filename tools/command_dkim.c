/* SPDX-License-Identifier: ISC */
/*
 * postern dkim: the keys that sign mail of our domains. Their life:
 *
 *	new -> waiting --activate--> active --retire--> retired --remove--> gone
 *
 * activate looks whether the record is published, because receivers take a
 * signature without a record for a bad one; the key that it replaces is retired
 * then. remove waits until nothing signed by it can be on its way any more:
 * message-expiry here, and KEEP_SECONDS for queues behind us.
 */
#include "tools/command_dkim.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "authentic/dkim_key.h"
#include "base/address.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/idn.h"
#include "base/mem.h"
#include "config.h"
#include "conf/conf.h"
#include "tools/command.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/kept_file.h"
#include "tools/outside.h"

static int	run_new(int argc, char **argv);
static int	run_list(int argc, char **argv);
static int	run_dns(int argc, char **argv);
static int	run_activate(int argc, char **argv);
static int	run_retire(int argc, char **argv);
static int	run_remove(int argc, char **argv);

static const struct command table[] = {
	{ "new", "DOMAIN [--selector NAME] [--algorithm rsa|ed25519|both] "
	    "[-c FILE]", "make keys (RSA of 2048 bits and Ed25519) and print "
	    "the records to publish; nothing is signed with them yet",
	    run_new },
	{ "list", "[DOMAIN] [-j] [-c FILE]", "the keys, what each is for, and "
	    "what to do next", run_list },
	{ "dns", "[DOMAIN] [-j] [-c FILE]", "the records that must be "
	    "published now", run_dns },
	{ "activate", "DOMAIN [SELECTOR] [--force] [-c FILE]", "sign with the "
	    "waiting keys, when their records are published; the ones before "
	    "them retire", run_activate },
	{ "retire", "DOMAIN SELECTOR [-c FILE]", "do not sign with this key "
	    "any more; its record has to stay", run_retire },
	{ "remove", "DOMAIN SELECTOR [--force] [-c FILE]", "forget a retired "
	    "key, when no mail signed with it can be on its way any more",
	    run_remove },
};
enum verb { NEW, LIST, DNS, ACTIVATE, RETIRE, REMOVE, VERBS };

static const char prefix[] = "postern dkim";

/* A key file with DKIM_KEYS_MAX keys; a record with a key of 4096 bits; a
 * string of a TXT record (RFC 1035 3.3). */
enum { FILE_MAX = 4 << 20, RECORD_MAX = 2048, STRING_MAX = 255,
    NAME_MAX_BYTES = 400, KEEP_SECONDS = 7 * 86400 };

struct work {
	const char	*configuration;
	const char	*selector_option;
	const char	*algorithm;
	bool		 json;
	bool		 force;
	char		 domain[ADDRESS_DOMAIN_MAX + 1];	/* or "" */
	const char	*selector;	/* operand; or null */

	struct conf	*conf;		/* owned */
	struct kept_file file;		/* owned */
	struct dkim_keys *keys;		/* owned */
};

/* --- arguments --- */

static int usage(enum verb verb, const char *problem)
{
	return command_usage(prefix, &table[verb], problem);
}

/* -1: go on; else the exit status. */
static int read_options(enum verb verb, struct work *work, int *argc,
    char ***argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "selector", required_argument, NULL, 'S' },
		{ "algorithm", required_argument, NULL, 'A' },
		{ "force", no_argument, NULL, 'F' },
		{ NULL, 0, NULL, 0 }
	};
	static const char *const letters[VERBS] = { "chSA", "cjh", "cjh",
	    "chF", "ch", "chF" };
	int letter;

	memset(work, 0, sizeof(*work));
	work->configuration = POSTERN_SYSCONFDIR "/postern.conf";
	work->algorithm = "both";
	optind = 1;
	opterr = 0;
	while ((letter = getopt_long(*argc, *argv, "c:jh", longs,
	    NULL)) != -1) {
		if (strchr(letters[verb], letter) == NULL)
			return command_wrong_option(prefix, &table[verb],
			    (*argv)[optind - 1]);
		switch (letter) {
		case 'c': work->configuration = optarg; break;
		case 'j': work->json = true; break;
		case 'S': work->selector_option = optarg; break;
		case 'A': work->algorithm = optarg; break;
		case 'F': work->force = true; break;
		default:
			printf("usage: %s %s %s\n\n%s\n", prefix,
			    table[verb].name, table[verb].arguments,
			    table[verb].summary);
			return CONTROL_OK;
		}
	}
	*argc -= optind;
	*argv += optind;
	return -1;
}

static int read_operands(enum verb verb, struct work *work, int argc,
    char **argv)
{
	static const struct { int least, most; } counts[VERBS] = { { 1, 1 },
	    { 0, 1 }, { 0, 1 }, { 1, 2 }, { 2, 2 }, { 2, 2 } };
	const char *why;

	if (argc < counts[verb].least || argc > counts[verb].most)
		return usage(verb, counts[verb].least == 2 ?
		    "a domain and a selector are expected, as `postern dkim "
		    "list` shows them" : "one domain is expected");
	if (argc > 1)
		work->selector = argv[1];
	if (argc == 0)
		return -1;
	why = domain_to_ascii(work->domain, sizeof(work->domain), argv[0]);
	return why == NULL ? -1 : usage(verb, why);
}

/* --- the file --- */

static int read_keys(struct work *work)
{
	char *errors = NULL;

	work->keys = dkim_keys_read(work->file.path, work->file.text,
	    &errors);
	if (work->keys == NULL)
		control_client_complain(errors);
	mem_free(errors);
	return work->keys == NULL ? -1 : 0;
}

static void end(struct work *work)
{
	if (work->keys != NULL)
		dkim_keys_free(work->keys);
	if (work->file.path != NULL)
		kept_file_end(&work->file);
	if (work->conf != NULL)
		conf_free(work->conf);
}

static bool is_ours(const struct work *work)
{
	return work->domain[0] == '\0' ||
	    conf_domain_find(work->conf, work->domain) != NULL;
}

/* -1: go on, and end() is needed; else the exit status. */
static int begin(enum verb verb, struct work *work, int argc, char **argv)
{
	int status = read_options(verb, work, &argc, &argv);
	bool denied;
	int result;

	if (status == -1)
		status = read_operands(verb, work, argc, argv);
	if (status != -1)
		return status;
	work->conf = control_client_conf(work->configuration);
	if (work->conf == NULL)
		return CONTROL_CONFIG;
	if (!is_ours(work)) {
		fprintf(stderr, "postern: %s is no domain of ours: %s has no "
		    "section for it\n", work->domain, work->configuration);
		end(work);
		return CONTROL_DATA;
	}
	errno = 0;
	result = verb == LIST || verb == DNS ?
	    kept_file_read(&work->file, work->conf->dkim_keys_file) :
	    kept_file_begin(&work->file, work->conf,
	    work->conf->dkim_keys_file);
	denied = result == -1 && (errno == EACCES || errno == EPERM);
	if (result == -1)
		work->file.path = NULL;
	if (result == -1 || read_keys(work) == -1) {
		end(work);
		return denied ? CONTROL_DENIED : CONTROL_DATA;
	}
	return -1;
}

/* Written, and the running server told; an exit status. */
static int save(struct work *work)
{
	struct buf out;
	int result;

	buf_init(&out, FILE_MAX);
	buf_keep_secret(&out);
	result = dkim_keys_print(work->keys, &out);
	if (result == 0)
		result = kept_file_write(&work->file, buf_data(&out),
		    buf_length(&out));
	buf_wipe(&out);
	buf_release(&out);
	return result == 0 ? CONTROL_OK : CONTROL_OUTPUT;
}

static int tell_server(const struct work *work)
{
	int error = control_client_try(work->conf);

	if (error != 0) {
		printf("no server is running: it holds from its next start\n");
		return CONTROL_OK;
	}
	return control_client_tell(work->conf, CONTROL_RELOAD, NULL, NULL);
}

/* --- records --- */

static bool is_wanted(const struct work *work, const struct dkim_key *key)
{
	return (work->domain[0] == '\0' ||
	    strcmp(key->domain, work->domain) == 0) &&
	    (work->selector == NULL ||
	    strcmp(key->selector, work->selector) == 0);
}

void dkim_record_name(const struct dkim_key *key, char *out, size_t size)
{
	snprintf(out, size, "%s._domainkey.%s", key->selector, key->domain);
}

int dkim_quote_record(const struct dkim_key *key, char out[DKIM_QUOTED_MAX])
{
	const char *rest;
	struct buf text;
	size_t at = 0;
	int result;

	out[0] = '\0';
	buf_init(&text, RECORD_MAX);
	result = dkim_key_record(key, &text);
	for (rest = result == 0 ? buf_string(&text) : ""; *rest != '\0';) {
		int length = (int)strnlen(rest, STRING_MAX);

		at += (size_t)snprintf(out + at, DKIM_QUOTED_MAX - at,
		    "%s\"%.*s\"", at > 0 ? " " : "", length, rest);
		rest += length;
	}
	buf_release(&text);
	return result;
}

static void print_record(const struct dkim_key *key, bool json)
{
	char name[NAME_MAX_BYTES], data[DKIM_QUOTED_MAX];
	json_t *object;

	dkim_record_name(key, name, sizeof(name));
	if (dkim_quote_record(key, data) == -1)
		return;
	if (!json) {
		printf("%s. 3600 IN TXT %s\n", name, data);
		return;
	}
	object = json_pack("{s:s, s:i, s:s, s:s}", "name", name, "ttl", 3600,
	    "type", "TXT", "data", data);
	text_print_json(object);
	json_decref(object);
}

/* When a retired key may go; wall ms. */
static int64_t leaves_at(const struct work *work, const struct dkim_key *key)
{
	return key->changed + (work->conf->message_expiry + KEEP_SECONDS) *
	    1000;
}

static void format_day(int64_t wall, char out[16])
{
	time_t seconds = (time_t)(wall / 1000);
	struct tm day;

	gmtime_r(&seconds, &day);
	strftime(out, 16, "%Y-%m-%d", &day);
}

/* --- new --- */

/* "20261123r": the day, and the letter of the algorithm; with a number where
 * that is taken. */
static void make_selector(const struct work *work,
    enum dkim_algorithm algorithm, unsigned attempt, char *out, size_t size)
{
	char letter = algorithm == DKIM_RSA ? 'r' : 'e', more[12] = "";
	char day[16], *to = day;

	if (attempt > 1)
		snprintf(more, sizeof(more), "%u", attempt);
	format_day(clock_wall(), day);
	for (const char *from = day; *from != '\0'; from++)
		if (*from != '-')
			*to++ = *from;
	*to = '\0';
	if (work->selector_option == NULL)
		snprintf(out, size, "%s%c%s", day, letter, more);
	else if (strcmp(work->algorithm, "both") == 0)
		snprintf(out, size, "%s%c%s", work->selector_option, letter,
		    more);
	else
		snprintf(out, size, "%s%s", work->selector_option, more);
}

static bool is_taken(const struct work *work, const char *selector)
{
	for (size_t i = 0; i < work->keys->count; i++)
		if (strcmp(work->keys->items[i].domain, work->domain) == 0 &&
		    strcmp(work->keys->items[i].selector, selector) == 0)
			return true;
	return false;
}

static int make(struct work *work, enum dkim_algorithm algorithm)
{
	char selector[DKIM_SELECTOR_MAX + 32];
	unsigned attempt = 0;

	do
		make_selector(work, algorithm, ++attempt, selector,
		    sizeof(selector));
	while (work->selector_option == NULL && is_taken(work, selector));
	if (is_taken(work, selector)) {
		fprintf(stderr, "postern: %s has a key %s; give another "
		    "--selector\n", work->domain, selector);
		return -1;
	}
	if (dkim_keys_make(work->keys, work->domain, selector, algorithm,
	    clock_wall()) == 0)
		return 0;
	fprintf(stderr, "postern: cannot make the key \"%s\" of %s: a selector "
	    "is letters, digits and hyphens, %d at most%s\n", selector,
	    work->domain, DKIM_SELECTOR_MAX, work->selector_option != NULL &&
	    strcmp(work->algorithm, "both") == 0 ? ", with the letter of the "
	    "algorithm behind it" : "");
	return -1;
}

static int run_new(int argc, char **argv)
{
	struct work work;
	int status = begin(NEW, &work, argc, argv);
	size_t before;
	bool rsa, ed;

	if (status != -1)
		return status;
	rsa = strcmp(work.algorithm, "ed25519") != 0;
	ed = strcmp(work.algorithm, "rsa") != 0;
	before = work.keys->count;
	if (rsa && ed && strcmp(work.algorithm, "both") != 0)
		status = usage(NEW, "--algorithm is rsa, ed25519 or both");
	else if ((rsa && make(&work, DKIM_RSA) == -1) ||
	    (ed && make(&work, DKIM_ED25519) == -1))
		status = CONTROL_DATA;
	else
		status = save(&work);
	if (status == CONTROL_OK) {
		for (size_t i = before; i < work.keys->count; i++)
			print_record(&work.keys->items[i], false);
		printf("; Publish this; then `postern dkim activate %s` looks "
		    "for it and begins to sign.\n", work.domain);
	}
	end(&work);
	return command_end(status);
}

/* --- list and dns --- */

static void next_step(const struct work *work, const struct dkim_key *key,
    char *out, size_t size)
{
	char day[16];

	if (key->state == DKIM_WAITING) {
		snprintf(out, size, "publish it, then activate");
	} else if (key->state == DKIM_ACTIVE) {
		snprintf(out, size, "signs");
	} else if (clock_wall() < leaves_at(work, key)) {
		format_day(leaves_at(work, key), day);
		snprintf(out, size, "record stays to %s", day);
	} else {
		snprintf(out, size, "remove it, and its record");
	}
}

static void list_key(const struct work *work, const struct dkim_key *key,
    const int widths[2])
{
	char created[64], changed[64], next[100];
	json_t *object;

	clock_format_iso(key->created, created, sizeof(created));
	clock_format_iso(key->changed, changed, sizeof(changed));
	next_step(work, key, next, sizeof(next));
	if (!work->json) {
		printf("%-*s %-*s %-7s %-7s %.10s  %s\n", widths[0],
		    key->domain, widths[1], key->selector,
		    dkim_algorithm_name(key->algorithm),
		    dkim_state_name(key->state), changed, next);
		return;
	}
	object = json_pack("{s:s s:s s:s s:s s:s s:s s:s}",
	    "domain", key->domain, "selector", key->selector,
	    "algorithm", dkim_algorithm_name(key->algorithm),
	    "state", dkim_state_name(key->state), "created", created,
	    "changed", changed, "next", next);
	text_print_json(object);
	json_decref(object);
}

static void widen(int *width, const char *text)
{
	int length = (int)strlen(text);

	if (length > *width)
		*width = length;
}

static int run_list(int argc, char **argv)
{
	struct work work;
	int status = begin(LIST, &work, argc, argv);
	int widths[2] = { 0, 0 };
	bool any = false;

	if (status != -1)
		return status;
	for (size_t i = 0; i < work.keys->count; i++) {
		const struct dkim_key *key = &work.keys->items[i];

		if (!is_wanted(&work, key))
			continue;
		any = true;
		widen(&widths[0], key->domain);
		widen(&widths[1], key->selector);
	}
	for (size_t i = 0; i < work.keys->count; i++)
		if (is_wanted(&work, &work.keys->items[i]))
			list_key(&work, &work.keys->items[i], widths);
	if (!any)
		fprintf(stderr, "postern: there are no keys; `postern dkim "
		    "new` makes some\n");
	status = any || work.domain[0] == '\0' ? CONTROL_OK :
	    CONTROL_NONE_MATCHED;
	end(&work);
	return command_end(status);
}

static int run_dns(int argc, char **argv)
{
	struct work work;
	int status = begin(DNS, &work, argc, argv);

	if (status != -1)
		return status;
	for (size_t i = 0; i < work.keys->count; i++) {
		const struct dkim_key *key = &work.keys->items[i];

		if (is_wanted(&work, key) && (key->state != DKIM_RETIRED ||
		    clock_wall() < leaves_at(&work, key)))
			print_record(key, work.json);
	}
	end(&work);
	return command_end(CONTROL_OK);
}

/* --- activate --- */

static struct dkim_key *find(const struct work *work)
{
	for (size_t i = 0; i < work->keys->count; i++)
		if (is_wanted(work, &work->keys->items[i]))
			return &work->keys->items[i];
	fprintf(stderr, "postern: %s has no key %s; `postern dkim list` shows "
	    "what is there\n", work->domain, work->selector);
	return NULL;
}

/* The one that is named waits. */
static int check_named(const struct work *work)
{
	const struct dkim_key *key = find(work);

	if (key == NULL)
		return CONTROL_NONE_MATCHED;
	if (key->state == DKIM_WAITING)
		return CONTROL_OK;
	fprintf(stderr, "postern: %s %s does not wait: it is %s\n",
	    key->domain, key->selector, dkim_state_name(key->state));
	return CONTROL_NONE_MATCHED;
}

/* Some wait, and one of an algorithm at most: the next one would retire it at
 * once. */
static int check_waiting(const struct work *work)
{
	size_t rsa = 0, ed = 0;

	for (size_t i = 0; i < work->keys->count; i++) {
		const struct dkim_key *key = &work->keys->items[i];

		if (is_wanted(work, key) && key->state == DKIM_WAITING)
			*(key->algorithm == DKIM_RSA ? &rsa : &ed) += 1;
	}
	if (rsa > 1 || ed > 1)
		fprintf(stderr, "postern: more than one %s key of %s waits: "
		    "name the one that is to sign, or remove others\n",
		    rsa > 1 ? "RSA" : "Ed25519", work->domain);
	else if (rsa + ed > 0)
		return CONTROL_OK;
	else
		fprintf(stderr, "postern: no key of %s waits; `postern dkim "
		    "new` makes some\n", work->domain);
	return CONTROL_NONE_MATCHED;
}

static bool is_published(struct outside *outside, const struct dkim_key *key)
{
	char name[NAME_MAX_BYTES];
	const struct dns_answer *answer;

	dkim_record_name(key, name, sizeof(name));
	answer = outside_lookup(outside, name, DNS_TXT);
	for (size_t i = 0; answer->result == FACT_DATA && i < answer->count;
	    i++)
		if (dkim_key_is_published(key, answer->texts[i],
		    answer->text_lengths[i]))
			return true;
	fprintf(stderr, "postern: not activated: %s: %s\n", name,
	    answer->result == FACT_ERROR ? answer->reason :
	    answer->result == FACT_DATA ? "other records than this one are "
	    "published" : "this record is not published (yet)");
	print_record(key, false);
	return false;
}

/* All that wait and are meant; an exit status. */
static int look(const struct work *work)
{
	struct outside outside;
	int status = outside_open(&outside, work->configuration, true);

	if (status != -1)
		return status;
	status = CONTROL_OK;
	for (size_t i = 0; i < work->keys->count; i++) {
		const struct dkim_key *key = &work->keys->items[i];

		if (is_wanted(work, key) && key->state == DKIM_WAITING &&
		    !is_published(&outside, key))
			status = CONTROL_NONE_MATCHED;
	}
	outside_close(&outside);
	return status;
}

static void enter(struct dkim_key *key, enum dkim_state state)
{
	key->state = state;
	key->changed = clock_wall();
}

/* The active key of the algorithm makes room for the one that waits. */
static void activate_all(const struct work *work)
{
	for (size_t i = 0; i < work->keys->count; i++) {
		struct dkim_key *key = &work->keys->items[i];

		if (!is_wanted(work, key) || key->state != DKIM_WAITING)
			continue;
		for (size_t k = 0; k < work->keys->count; k++) {
			struct dkim_key *old = &work->keys->items[k];

			if (old->state == DKIM_ACTIVE &&
			    old->algorithm == key->algorithm &&
			    strcmp(old->domain, key->domain) == 0) {
				enter(old, DKIM_RETIRED);
				printf("%s %s retires\n", old->domain,
				    old->selector);
			}
		}
		enter(key, DKIM_ACTIVE);
		printf("%s %s signs from now on\n", key->domain,
		    key->selector);
	}
}

static int run_activate(int argc, char **argv)
{
	struct work work;
	int status = begin(ACTIVATE, &work, argc, argv);

	if (status != -1)
		return status;
	status = work.selector != NULL ? check_named(&work) :
	    check_waiting(&work);
	if (status == CONTROL_OK && !work.force)
		status = look(&work);
	if (status == CONTROL_OK) {
		activate_all(&work);
		status = save(&work);
	}
	if (status == CONTROL_OK)
		status = tell_server(&work);
	end(&work);
	return command_end(status);
}

/* --- retire and remove --- */

static int run_retire(int argc, char **argv)
{
	struct work work;
	int status = begin(RETIRE, &work, argc, argv);
	struct dkim_key *key;

	if (status != -1)
		return status;
	key = find(&work);
	if (key != NULL && key->state != DKIM_ACTIVE)
		fprintf(stderr, "postern: %s %s does not sign: it is %s\n",
		    key->domain, key->selector, dkim_state_name(key->state));
	if (key == NULL || key->state != DKIM_ACTIVE) {
		end(&work);
		return CONTROL_NONE_MATCHED;
	}
	enter(key, DKIM_RETIRED);
	if (dkim_keys_active(work.keys, work.domain, DKIM_RSA) == NULL)
		printf("no RSA key of %s is active: many receivers know no "
		    "other algorithm\n", work.domain);
	status = save(&work);
	if (status == CONTROL_OK)
		status = tell_server(&work);
	end(&work);
	return command_end(status);
}

/* Null, or why it has to stay. */
static const char *reason_to_stay(const struct work *work,
    const struct dkim_key *key)
{
	if (key->state == DKIM_ACTIVE)
		return "it signs: retire it first";
	if (key->state == DKIM_RETIRED && !work->force &&
	    clock_wall() < leaves_at(work, key))
		return "mail signed with it may still be on its way, until "
		    "the day that `postern dkim list` shows (--force removes "
		    "it all the same)";
	return NULL;
}

static int run_remove(int argc, char **argv)
{
	struct work work;
	int status = begin(REMOVE, &work, argc, argv);
	const char *why = NULL;
	struct dkim_key *key;

	if (status != -1)
		return status;
	key = find(&work);
	if (key != NULL)
		why = reason_to_stay(&work, key);
	if (key == NULL || why != NULL) {
		if (why != NULL)
			fprintf(stderr, "postern: not removed: %s\n", why);
		end(&work);
		return CONTROL_NONE_MATCHED;
	}
	dkim_keys_remove(work.keys, (size_t)(key - work.keys->items));
	status = save(&work);
	if (status == CONTROL_OK)
		printf("take its record out of the DNS, too: "
		    "%s._domainkey.%s\n", work.selector, work.domain);
	end(&work);
	return command_end(status);
}

int command_dkim(int argc, char **argv)
{
	return command_dispatch(prefix, table, sizeof(table) /
	    sizeof(table[0]), argc, argv);
}
