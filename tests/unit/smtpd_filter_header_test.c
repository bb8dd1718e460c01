/* SPDX-License-Identifier: ISC */
/*
 * Fields of filters, whatever they are: what comes out is the header that a
 * plain list of names says, in lines that can be sent, and the body is where it
 * was. Wishes that cannot be change nothing that anybody sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "authentic/fields.h"
#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "smtpd/edits.h"
#include "smtpd/filter_internal.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

enum { ROUNDS = 3000, WISHES_MAX = 8, NAMES_MAX = 64, VIEW_MAX = 256 << 10 };

static const char *const contents[] = {
	"From: a\r\nSubject: s\r\nReceived: 1\r\n\tmore\r\nReceived: 2\r\n\r\n"
	    "X-Body: not a field\r\n\r\nend\r\n",
	"From: a\r\nno field at all\r\nSubject: s\r\n\r\nbody\r\n",
	" begins with a blank\r\nFrom: a\r\n\r\nbody\r\n",
	"\r\nonly a body\r\n",
	"From: no body\r\n",
	"",
};
enum { CONTENTS = sizeof(contents) / sizeof(contents[0]) };

static unsigned long state;

static size_t pick(size_t limit)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (size_t)(state >> 33) % limit;
}

/* --- the model: names of fields, in order --- */

struct model {
	struct { char name[16]; int seen; } items[NAMES_MAX];
	size_t	 count;
	/* What the filter has seen of each name, whether it is there or not. */
	struct { char name[16]; int place; bool there; } seen[NAMES_MAX];
	size_t	 seen_count;
};

static void model_init(struct model *model, const struct fields *fields)
{
	memset(model, 0, sizeof(*model));
	for (size_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];

		if (field->name_length == 0)
			continue;
		snprintf(model->items[model->count].name, 16, "%.*s",
		    (int)field->name_length, field->text);
		model->items[model->count].seen = (int)model->seen_count + 1;
		memcpy(model->seen[model->seen_count].name,
		    model->items[model->count++].name, 16);
		model->seen[model->seen_count++].there = true;
	}
}

static void model_insert(struct model *model, size_t at, const char *name)
{
	if (at > model->count)
		at = model->count;
	memmove(&model->items[at + 1], &model->items[at],
	    (model->count - at) * sizeof(model->items[0]));
	model->count++;
	snprintf(model->items[at].name, 16, "%s", name);
	model->items[at].seen = 0;
}

/* --- wishes --- */

static const char *const names[] = { "From", "Received", "received", "X-New",
    "Subject" };
static const char *const parts[] = { " word", "\r\n ", "\n\t", "\r\n", "\n",
    "\r", "\r\n\r\n", "X: y", " ", "\t", ":", "\xc3\xa9",
    "a-very-long-part-of-some-line-that-has-no-blanks-in-it-at-all-and-goes-on" };

static char *make_value(void)
{
	size_t count = pick(3) == 0 ? 40 + pick(300) : 1 + pick(5);
	struct buf value;

	buf_init(&value, 1 << 16);
	buf_add_string(&value, " v");
	/* What cannot be folded. */
	if (pick(40) == 0)
		buf_print(&value, "%01000d", 0);
	for (size_t i = 0; i < count; i++)
		buf_add_string(&value, parts[count > 6 && pick(40) > 0 ? 0 :
		    pick(sizeof(parts) / sizeof(parts[0]))]);
	return buf_take(&value);
}

/* The view is to be as the model says afterwards, if all of it can be. */
static void make_wish(struct milter_edits *wanted, struct model *model)
{
	struct milter_edit *edit = mem_alloc(sizeof(*edit));
	const char *name = names[pick(sizeof(names) / sizeof(names[0]))];
	unsigned nth = 0;

	edit->kind = pick(2) == 0 ? MILTER_CHANGE_HEADER : pick(2) == 0 ?
	    MILTER_ADD_HEADER : MILTER_INSERT_HEADER;
	edit->name = mem_dup_string(name);
	edit->index = (uint32_t)pick(6);
	TAILQ_INSERT_TAIL(wanted, edit, link);
	if (edit->kind != MILTER_CHANGE_HEADER || pick(2) == 0)
		edit->value = make_value();
	if (edit->kind == MILTER_ADD_HEADER) {
		model_insert(model, model->count, name);
		return;
	}
	if (edit->kind == MILTER_INSERT_HEADER) {
		model_insert(model, edit->index == 0 ? 0 : edit->index - 1,
		    name);
		return;
	}
	for (size_t i = 0; i < model->seen_count; i++)
		nth += strcasecmp(model->seen[i].name, name) == 0;
	/* Its own ones are the dialogues' business. */
	if (edit->index == 0 || edit->index > nth) {
		edit->kind = MILTER_ADD_HEADER;
		if (edit->value == NULL)
			edit->value = make_value();
		model_insert(model, model->count, name);
		return;
	}
	nth = edit->index;
	for (size_t i = 0; i < model->seen_count; i++) {
		if (strcasecmp(model->seen[i].name, name) != 0 || --nth > 0)
			continue;
		for (size_t k = 0; k < model->count; k++) {
			if (model->items[k].seen != (int)i + 1)
				continue;
			if (edit->value != NULL)
				return;
			memmove(&model->items[k], &model->items[k + 1],
			    (model->count - k - 1) * sizeof(model->items[0]));
			model->count--;
			return;
		}
		/* It was taken out, and comes back: elsewhere is tested. */
		mem_free(edit->value);
		edit->value = NULL;
		return;
	}
}

static void free_wishes(struct milter_edits *wanted)
{
	struct milter_edit *edit;

	while ((edit = TAILQ_FIRST(wanted)) != NULL) {
		TAILQ_REMOVE(wanted, edit, link);
		mem_free(edit->name);
		mem_free(edit->value);
		mem_free(edit);
	}
}

/* --- what comes out --- */

static size_t read_stored(void *arg, uint64_t offset, char *out, size_t size)
{
	memcpy(out, (const char *)arg + offset, size);
	return size;
}

static struct fields *read_fields(const char *text, size_t length)
{
	struct fields *fields = fields_new();

	fields_feed(fields, text, length);
	fields_finish(fields);
	return fields;
}

static void check_lines(const char *text, size_t length)
{
	size_t column = 0;

	for (size_t i = 0; i < length; i++) {
		column++;
		if (text[i] == '\r')
			assert_true(i + 1 < length && text[i + 1] == '\n');
		if (text[i] != '\n')
			continue;
		assert_true(i > 0 && text[i - 1] == '\r');
		assert_true(column <= 1000);
		column = 0;
	}
	assert_int_equal(column, 0);
}

static void check_view(const struct edits *edits, const char *content,
    const struct fields *before, const struct model *model)
{
	static char view[VIEW_MAX];
	size_t length = edits_read(edits, 0, view, sizeof(view), read_stored,
	    (void *)content), at = 0;
	struct fields *fields = read_fields(view, length);

	check_lines(view, length);
	for (size_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];

		if (field->name_length == 0)
			continue;
		assert_true(at < model->count);
		assert_int_equal(field->name_length,
		    strlen(model->items[at].name));
		assert_int_equal(strncasecmp(field->text,
		    model->items[at].name, field->name_length), 0);
		at++;
	}
	assert_int_equal(at, model->count);
	assert_int_equal(fields->has_body, before->has_body);
	assert_int_equal(length - fields->length,
	    strlen(content) - before->length);
	assert_memory_equal(view + fields->length, content + before->length,
	    length - fields->length);
	fields_free(fields);
}

static bool run(const char *content)
{
	struct transaction transaction = { .size = strlen(content) };
	struct conf conf = { .max_line = 1000 };
	struct rules rules = { .conf = &conf };
	struct session session = { .transaction = &transaction,
	    .rules = &rules };
	struct edits *edits = edits_new(strlen(content));
	struct milter_edits wanted = TAILQ_HEAD_INITIALIZER(wanted);
	struct envelope envelope = { 0 };
	const char *reason = NULL;
	struct model model;
	bool good;

	transaction.fields = read_fields(content, strlen(content));
	model_init(&model, transaction.fields);
	for (size_t count = 1 + pick(WISHES_MAX); count > 0; count--)
		make_wish(&wanted, &model);
	good = filter_edit_header(&session, edits, &wanted, &reason) == 0;
	if (good) {
		check_view(edits, content, transaction.fields, &model);
		edits_put(edits, &envelope);
		assert_true(envelope_content_fits(&envelope,
		    strlen(content)));
	} else {
		assert_non_null(reason);
	}
	free_wishes(&wanted);
	fields_free(transaction.fields);
	edits_free(edits);
	return good;
}

static void whatever_they_say(void **unused)
{
	unsigned good = 0;

	(void)unused;
	for (unsigned round = 0; round < ROUNDS; round++) {
		state = round;
		good += run(contents[round % CONTENTS]);
	}
	/* Most of it can be. */
	assert_true(good > ROUNDS / 2);
	assert_true(good < ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
