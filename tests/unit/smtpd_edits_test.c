/* SPDX-License-Identifier: ISC */
/*
 * The view of edits against a plain model: a text that is cut and inserted
 * into; and what the envelope gets of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "queue/envelope.h"
#include "smtpd/edits.h"

enum { ORIGINAL = 600, STORED = 900, ROUNDS = 400, STEPS = 40 };

/* What is stored: all bytes differ from those of inserted text. */
static char stored[STORED];

static size_t read_stored(void *arg, uint64_t offset, char *out, size_t size)
{
	size_t some = 1 + (size_t)offset % 7;	/* in pieces of any size */

	assert_ptr_equal(arg, stored);
	assert_true(offset < STORED && size <= STORED - offset);
	if (some > size)
		some = size;
	memcpy(out, stored + offset, some);
	return some;
}

static unsigned long state;

static size_t pick(size_t limit)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (size_t)(state >> 33) % limit;
}

struct model {
	char	 text[64 << 10];
	size_t	 length;
};

static void model_cut(struct model *model, size_t offset, size_t length)
{
	memmove(model->text + offset, model->text + offset + length,
	    model->length - offset - length);
	model->length -= length;
}

static void model_insert(struct model *model, size_t offset, const char *text,
    size_t length)
{
	memmove(model->text + offset + length, model->text + offset,
	    model->length - offset);
	memcpy(model->text + offset, text, length);
	model->length += length;
}

static void check_view(const struct edits *edits, const struct model *model)
{
	static char text[64 << 10];
	size_t offset = pick(model->length + 1);
	size_t size = 1 + pick(sizeof(text) - 1), wanted;

	assert_int_equal(edits_length(edits), model->length);
	wanted = model->length - offset < size ? model->length - offset : size;
	assert_int_equal(edits_read(edits, offset, text, size, read_stored,
	    stored), wanted);
	assert_memory_equal(text, model->text + offset, wanted);
	assert_int_equal(edits_read(edits, model->length, text, size,
	    read_stored, stored), 0);
}

static void check_pieces(struct edits *edits, const struct model *model)
{
	struct envelope envelope = { 0 };
	size_t length = 0;

	edits_put(edits, &envelope);
	if (!edits_changed(edits)) {
		assert_int_equal(envelope.piece_count, 0);
		assert_int_equal(model->length, ORIGINAL);
		assert_memory_equal(model->text, stored, ORIGINAL);
		return;
	}
	assert_int_equal(envelope.original_length, ORIGINAL);
	assert_true(envelope.piece_count > 0);
	for (size_t i = 0; i < envelope.piece_count; i++) {
		const struct envelope_piece *piece = &envelope.pieces[i];

		assert_true(length + piece->length <= model->length);
		assert_memory_equal(model->text + length, piece->text != NULL ?
		    piece->text : stored + piece->offset, piece->length);
		assert_true(piece->length > 0 || envelope.piece_count == 1);
		length += piece->length;
		/* Neighbours that are one are one. */
		if (i > 0 && piece->text == NULL && piece[-1].text == NULL)
			assert_true(piece[-1].offset + piece[-1].length !=
			    piece->offset);
	}
	assert_int_equal(length, model->length);
}

static void take_step(struct edits *edits, struct model *model)
{
	char text[60];
	size_t offset = pick(model->length + 1);
	size_t length = pick(sizeof(text));

	if (pick(2) == 0) {
		if (length > model->length - offset)
			length = model->length - offset;
		assert_int_equal(edits_cut(edits, offset, length), 0);
		model_cut(model, offset, length);
	} else if (pick(4) > 0) {
		for (size_t i = 0; i < length; i++)
			text[i] = (char)('a' + pick(26));
		assert_int_equal(edits_insert(edits, offset, text, length),
		    0);
		model_insert(model, offset, text, length);
	} else {
		size_t from = ORIGINAL + pick(STORED - ORIGINAL -
		    sizeof(text));

		assert_int_equal(edits_insert_stored(edits, offset, from,
		    length), 0);
		model_insert(model, offset, stored + from, length);
	}
}

static void view_is_the_model(void **unused)
{
	static struct model model;

	(void)unused;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct edits *edits = edits_new(ORIGINAL), *copy;

		state = round;
		memcpy(model.text, stored, ORIGINAL);
		model.length = ORIGINAL;
		check_pieces(edits, &model);
		for (unsigned step = 0; step < STEPS; step++) {
			take_step(edits, &model);
			check_view(edits, &model);
			if (step % 8 == 0)
				check_pieces(edits, &model);
		}
		check_pieces(edits, &model);
		copy = edits_copy(edits);
		edits_free(edits);
		check_view(copy, &model);
		check_pieces(copy, &model);
		edits_free(copy);
	}
}

/* What was undone is no change: the queue gets no pieces. */
static void undone_is_unchanged(void **unused)
{
	struct edits *edits = edits_new(ORIGINAL);
	struct envelope envelope = { 0 };

	(void)unused;
	assert_false(edits_changed(edits));
	assert_false(edits_changed(NULL));
	assert_int_equal(edits_insert(edits, 100, "x\r\n", 3), 0);
	assert_true(edits_changed(edits));
	assert_int_equal(edits_cut(edits, 100, 3), 0);
	assert_false(edits_changed(edits));
	edits_put(edits, &envelope);
	assert_int_equal(envelope.piece_count, 0);
	/* The same length, but other bytes. */
	assert_int_equal(edits_cut(edits, 100, 3), 0);
	assert_int_equal(edits_insert(edits, 100, "x\r\n", 3), 0);
	assert_true(edits_changed(edits));
	edits_put(edits, &envelope);
	assert_int_equal(envelope.piece_count, 3);
	edits_free(edits);
}

/* No piece would mean that nothing was changed. */
static void nothing_left_is_a_piece(void **unused)
{
	struct edits *edits = edits_new(ORIGINAL);
	struct envelope envelope = { 0 };

	(void)unused;
	assert_int_equal(edits_cut(edits, 0, ORIGINAL), 0);
	edits_put(edits, &envelope);
	assert_int_equal(envelope.piece_count, 1);
	assert_int_equal(envelope.pieces[0].length, 0);
	assert_true(envelope_content_fits(&envelope, ORIGINAL));
	edits_free(edits);
}

static void empty_content(void **unused)
{
	struct edits *edits = edits_new(0);
	struct envelope envelope = { 0 };

	(void)unused;
	assert_false(edits_changed(edits));
	assert_int_equal(edits_insert(edits, 0, "A: b\r\n", 6), 0);
	edits_put(edits, &envelope);
	assert_int_equal(envelope.piece_count, 1);
	assert_memory_equal(envelope.pieces[0].text, "A: b\r\n", 6);
	edits_free(edits);
}

/* An envelope holds so much and no more; what is too much changes nothing. */
static void ceilings(void **unused)
{
	struct edits *edits = edits_new(1 << 20);
	struct envelope envelope = { 0 };
	char *text = mem_alloc(ENVELOPE_PIECE_TEXT_MAX + 1);
	size_t count = 0;

	(void)unused;
	memset(text, 'x', ENVELOPE_PIECE_TEXT_MAX + 1);
	assert_int_equal(edits_insert(edits, 5, text,
	    ENVELOPE_PIECE_TEXT_MAX + 1), -1);
	assert_false(edits_changed(edits));
	assert_int_equal(edits_insert(edits, 5, text,
	    ENVELOPE_PIECE_TEXT_MAX), 0);
	assert_int_equal(edits_insert(edits, 9, "y", 1), -1);
	assert_int_equal(edits_cut(edits, 5, ENVELOPE_PIECE_TEXT_MAX), 0);
	assert_int_equal(edits_insert(edits, 9, "y", 1), 0);
	while (edits_insert(edits, 20 + 10 * count, "yy\r\n", 4) == 0)
		count++;
	assert_true(count > ENVELOPE_PIECES_MAX / 2 - 4);
	assert_int_equal(edits_length(edits), (1 << 20) + 1 + 4 * count);
	edits_put(edits, &envelope);
	assert_true(envelope.piece_count <= ENVELOPE_PIECES_MAX);
	assert_true(envelope_content_fits(&envelope, 1 << 20));
	mem_free(text);
	edits_free(edits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(view_is_the_model),
		cmocka_unit_test(undone_is_unchanged),
		cmocka_unit_test(nothing_left_is_a_piece),
		cmocka_unit_test(empty_content),
		cmocka_unit_test(ceilings),
	};

	for (size_t i = 0; i < STORED; i++)
		stored[i] = (char)('A' + i % 26);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
