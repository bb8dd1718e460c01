/* SPDX-License-Identifier: ISC */
/*
 * Outcomes as rows of the ledger, and as JSON. A row that comes for something
 * that is known adds to it: the store may have been away when we began.
 */
#include "policy/outcome_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"
#include "policy/ledger.h"

enum { ROW_VERSION = 1, PREFIX_LENGTH = sizeof(OUTCOME_PREFIX) - 1,
    DAY_LENGTH = 10, ID_LENGTH = 16, POLICY_LENGTH = DAY_LENGTH + 1 +
    ID_LENGTH, FAILURE_LENGTH = POLICY_LENGTH + 1 + ID_LENGTH,
    ROW_KEY_MAX = PREFIX_LENGTH + OUTCOME_KEY_MAX + 1 + ID_LENGTH + 1 };

/* Of a page of objects. */
enum { PAGE_WEIGHT = 64, TEXT_PER_WEIGHT = 256 };

_Static_assert(OUTCOME_TEXT_MAX + 64 <= LEDGER_VALUE_MAX, "a text fits");

/* --- keys --- */

static void text_key(uint64_t digest, char *key, size_t size)
{
	snprintf(key, size, OUTCOME_PREFIX "+%016" PRIx64, digest);
}

static void policy_key(const struct outcome *outcome, char *key, size_t size)
{
	snprintf(key, size, OUTCOME_PREFIX "%s", outcome->key);
}

static void failure_key(const struct outcome *outcome, uint64_t id, char *key,
    size_t size)
{
	snprintf(key, size, OUTCOME_PREFIX "%s/%016" PRIx64, outcome->key, id);
}

/* 16 hexadecimal digits, as they are written here. */
static int read_id(const char *text, uint64_t *id)
{
	uint8_t bytes[8];
	char digits[ID_LENGTH + 1];
	size_t i;

	snprintf(digits, sizeof(digits), "%.*s", ID_LENGTH, text);
	if (strspn(digits, "0123456789abcdef") != ID_LENGTH ||
	    hex_parse(bytes, sizeof(bytes), digits) != sizeof(bytes))
		return -1;
	for (*id = 0, i = 0; i < sizeof(bytes); i++)
		*id = *id << 8 | bytes[i];
	return 0;
}

/* --- writing --- */

static void begin(struct wire_writer *writer, struct buf *row)
{
	buf_init(row, LEDGER_VALUE_MAX);
	wire_write_begin(writer, row);
	wire_put_u8(writer, ROW_VERSION);
}

static void finish(struct outcomes *outcomes, const char *key,
    struct wire_writer *writer)
{
	if (wire_write_end(writer) == 0)
		ledger_put_soon(outcomes->ledger, key, buf_data(writer->buf),
		    buf_length(writer->buf));
	buf_release(writer->buf);
}

void outcome_save(struct outcomes *outcomes, const struct outcome *outcome)
{
	char key[ROW_KEY_MAX];
	struct wire_writer writer;
	struct buf row;

	begin(&writer, &row);
	wire_put_u8(&writer, (uint8_t)outcome->type);
	wire_put_text(&writer, outcome->domain);
	wire_put_text(&writer, outcome->policy_domain);
	wire_put_u64(&writer, outcome->digest);
	wire_put_u64(&writer, outcome->successes);
	wire_put_u64(&writer, outcome->failures);
	policy_key(outcome, key, sizeof(key));
	finish(outcomes, key, &writer);
}

void outcome_save_failure(struct outcomes *outcomes,
    const struct outcome *outcome, const struct outcome_failure *failure)
{
	char key[ROW_KEY_MAX];
	struct wire_writer writer;
	struct buf row;

	begin(&writer, &row);
	wire_put_u8(&writer, (uint8_t)failure->result);
	wire_put_text(&writer, failure->host);
	wire_put_text(&writer, failure->address);
	wire_put_text(&writer, failure->reason);
	wire_put_u64(&writer, failure->count);
	failure_key(outcome, failure->id, key, sizeof(key));
	finish(outcomes, key, &writer);
}

void outcome_save_text(struct outcomes *outcomes, struct outcome_text *text)
{
	char key[ROW_KEY_MAX];
	struct wire_writer writer;
	struct buf row;

	begin(&writer, &row);
	wire_put_u8(&writer, text->useless);
	wire_put_text(&writer, text->text);
	text_key(text->digest, key, sizeof(key));
	finish(outcomes, key, &writer);
	text->saved = true;
}

void outcome_unsave_text(struct outcomes *outcomes,
    const struct outcome_text *text)
{
	char key[ROW_KEY_MAX];

	text_key(text->digest, key, sizeof(key));
	ledger_delete_soon(outcomes->ledger, key);
}

void outcome_unsave(struct outcomes *outcomes, const struct outcome *outcome)
{
	const struct outcome_failure *failure;
	char key[ROW_KEY_MAX];

	STAILQ_FOREACH(failure, &outcome->details, entry) {
		failure_key(outcome, failure->id, key, sizeof(key));
		ledger_delete_soon(outcomes->ledger, key);
	}
	policy_key(outcome, key, sizeof(key));
	ledger_delete_soon(outcomes->ledger, key);
}

static void save_one_text(void *arg, const void *key, size_t length,
    void *value)
{
	struct outcome_text *text = value;

	(void)key;
	(void)length;
	if (text->saved)
		outcome_save_text(arg, text);
}

void outcome_save_all(void *arg)
{
	struct outcomes *outcomes = arg;
	const struct outcome_day *day;
	const struct outcome *outcome;
	const struct outcome_failure *failure;

	hash_each(outcomes->texts, save_one_text, outcomes);
	TAILQ_FOREACH(day, &outcomes->days, entry)
		STAILQ_FOREACH(outcome, &day->all, entry) {
			outcome_save(outcomes, outcome);
			STAILQ_FOREACH(failure, &outcome->details, entry)
				outcome_save_failure(outcomes, outcome,
				    failure);
		}
}

/* --- reading --- */

static int load_text(struct outcomes *outcomes, const char *digits,
    struct wire_reader *reader)
{
	struct outcome_text *text;
	uint64_t digest;
	unsigned useless;
	char *copy;

	if (strlen(digits) != ID_LENGTH || read_id(digits, &digest) == -1)
		return -1;
	copy = mem_alloc(OUTCOME_TEXT_MAX + 1);
	useless = wire_get_enum(reader, 2);
	wire_copy_text(reader, copy, OUTCOME_TEXT_MAX + 1);
	if (wire_read_end(reader) == -1) {
		mem_free(copy);
		return -1;
	}
	if (outcome_text_add(outcomes, digest, mem_dup_string(copy),
	    useless != 0)) {
		text = outcome_text_find(outcomes, digest);
		text->saved = true;
	}
	mem_free(copy);
	return 0;
}

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static int load_policy(struct outcomes *outcomes, const char *key,
    struct wire_reader *reader)
{
	enum policy_type type = wire_get_enum(reader, POLICY_TYPES);
	char domain[256], policy_domain[256];
	uint64_t digest, successes, failures;
	struct outcome *outcome;

	wire_copy_text(reader, domain, sizeof(domain));
	wire_copy_text(reader, policy_domain, sizeof(policy_domain));
	digest = wire_get_u64(reader);
	successes = wire_get_u64(reader);
	failures = wire_get_u64(reader);
	if (wire_read_end(reader) == -1 || !is_printable(domain) ||
	    !is_printable(policy_domain) || successes > INT64_MAX / 2 ||
	    failures > INT64_MAX / 2)
		return -1;
	outcome = outcome_find(outcomes, key);
	if (outcome == NULL) {
		outcome = outcome_add(outcomes, key);
		if (outcome == NULL)
			return -1;
		outcome->type = type;
		outcome->domain = mem_dup_string(domain);
		outcome->policy_domain = mem_dup_string(policy_domain);
		outcome->digest = digest;
	}
	outcome->successes += successes;
	outcome->failures += failures;
	return 0;
}

static int load_failure(struct outcomes *outcomes, const char *key,
    struct wire_reader *reader)
{
	char host[256], address[64], reason[OUTCOME_REASON_MAX];
	char policy[POLICY_LENGTH + 1];
	struct outcome_failure wanted = { .host = host, .address = address,
	    .reason = reason }, *failure;
	struct outcome *outcome;
	uint64_t count;

	wanted.result = wire_get_enum(reader, TLS_RESULTS);
	wire_copy_text(reader, host, sizeof(host));
	wire_copy_text(reader, address, sizeof(address));
	wire_copy_text(reader, reason, sizeof(reason));
	count = wire_get_u64(reader);
	snprintf(policy, sizeof(policy), "%.*s", POLICY_LENGTH, key);
	outcome = outcome_find(outcomes, policy);
	if (wire_read_end(reader) == -1 || outcome == NULL ||
	    !is_printable(host) || !is_printable(address) ||
	    !is_printable(reason) || count > INT64_MAX / 2 ||
	    read_id(key + POLICY_LENGTH + 1, &wanted.id) == -1)
		return -1;
	failure = outcome_failure_find(outcome, wanted.id);
	if (failure == NULL)
		failure = outcome_failure_add(outcomes, outcome, &wanted);
	failure->count += count;
	return 0;
}

/* "2026-11-22/0123456789abcdef", and perhaps "/0123456789abcdef". */
static bool is_policy_key(const char *key)
{
	char day[DAY_LENGTH + 1];
	uint64_t id;

	snprintf(day, sizeof(day), "%.*s", DAY_LENGTH, key);
	return outcomes_is_day(day) && key[DAY_LENGTH] == '/' &&
	    read_id(key + DAY_LENGTH + 1, &id) == 0;
}

int outcome_load(void *arg, const char *key, const void *value, size_t length)
{
	struct outcomes *outcomes = arg;
	struct wire_reader reader;

	wire_read_begin(&reader, value, length);
	if (wire_get_u8(&reader) != ROW_VERSION)
		return -1;
	key += PREFIX_LENGTH;
	if (key[0] == '+')
		return load_text(outcomes, key + 1, &reader);
	if (!is_policy_key(key))
		return -1;
	if (strlen(key) == POLICY_LENGTH)
		return load_policy(outcomes, key, &reader);
	if (strlen(key) == FAILURE_LENGTH && key[POLICY_LENGTH] == '/')
		return load_failure(outcomes, key, &reader);
	return -1;
}

/* --- JSON --- */

static void put_text(json_t *object, const char *key, const char *value)
{
	if (value[0] != '\0')
		json_object_set_new(object, key, json_string(value));
}

/* "mx: *.example.org": the pattern, or null. */
static const char *pattern_of(const char *line)
{
	if (strncmp(line, "mx", 2) != 0)
		return NULL;
	line += 2 + strspn(line + 2, " ");
	return *line == ':' ? line + 1 + strspn(line + 1, " ") : NULL;
}

static void put_lines(json_t *policy, const char *text, bool with_patterns)
{
	json_t *strings = json_array(), *patterns = json_array();
	const char *pattern;
	char *line;
	size_t length;

	for (; *text != '\0'; text += length + (text[length] != '\0')) {
		length = strcspn(text, "\n");
		line = mem_print("%.*s", (int)length, text);
		json_array_append_new(strings, json_string(line));
		pattern = pattern_of(line);
		if (pattern != NULL)
			json_array_append_new(patterns, json_string(pattern));
		mem_free(line);
	}
	json_object_set_new(policy, "policy-string", strings);
	if (with_patterns)
		json_object_set_new(policy, "mx-host", patterns);
	else
		json_decref(patterns);
}

static json_t *policy_object(const struct outcomes *outcomes,
    const struct outcome *outcome)
{
	static const char *const types[POLICY_TYPES] = {
		[POLICY_TLSA] = "tlsa", [POLICY_STS] = "sts",
		[POLICY_NOT_FOUND] = "no-policy-found" };
	const struct outcome_text *text = outcome_text_find(outcomes,
	    outcome->digest);
	json_t *policy = json_pack("{s:s}", "policy-type",
	    types[outcome->type]);

	if (text != NULL && outcome->digest != 0)
		put_lines(policy, text->text, outcome->type == POLICY_STS);
	put_text(policy, "policy-domain", outcome->policy_domain);
	return policy;
}

static json_t *failure_object(const struct outcome_failure *failure)
{
	json_t *object = json_pack("{s:s}", "result-type",
	    tls_result_name(failure->result));

	put_text(object, "receiving-mx-hostname", failure->host);
	put_text(object, "receiving-ip", failure->address);
	json_object_set_new(object, "failed-session-count",
	    json_integer((json_int_t)failure->count));
	put_text(object, "failure-reason-code", failure->reason);
	return object;
}

static json_t *outcome_object(const struct outcomes *outcomes,
    const struct outcome_day *day, const struct outcome *outcome)
{
	const struct outcome_failure *failure;
	json_t *details = json_array();
	json_t *object = json_pack("{s:s}", "day", day->name);

	put_text(object, "domain", outcome->domain);
	if (outcome->domain[0] == '\0')
		json_object_set_new(object, "overflow", json_true());
	json_object_set_new(object, "policy", policy_object(outcomes,
	    outcome));
	json_object_set_new(object, "summary", json_pack("{s:I, s:I}",
	    "total-successful-session-count", (json_int_t)outcome->successes,
	    "total-failure-session-count", (json_int_t)outcome->failures));
	STAILQ_FOREACH(failure, &outcome->details, entry)
		json_array_append_new(details, failure_object(failure));
	json_object_set_new(object, "failure-details", details);
	return object;
}

/* How large the object becomes: failures and text make nearly all of it. */
static size_t weight_of(const struct outcomes *outcomes,
    const struct outcome *outcome)
{
	const struct outcome_text *text = outcome_text_find(outcomes,
	    outcome->digest);

	return 1 + outcome->kinds + (text == NULL ? 0 :
	    strlen(text->text) / TEXT_PER_WEIGHT);
}

/* New ones come last, and a day goes as a whole: what was counted stays where
 * it is. */
size_t outcomes_page(struct outcomes *outcomes, const char *name, size_t from,
    void (*visit)(void *arg, json_t *object), void *arg)
{
	const struct outcome_day *day = outcome_day_find(outcomes, name);
	const struct outcome *outcome;
	size_t weight = 0, count = 0;

	if (day == NULL)
		return 0;
	STAILQ_FOREACH(outcome, &day->all, entry) {
		if (from > 0) {
			from--;
			continue;
		}
		visit(arg, outcome_object(outcomes, day, outcome));
		count++;
		weight += weight_of(outcomes, outcome);
		if (weight >= PAGE_WEIGHT)
			break;
	}
	return count;
}
