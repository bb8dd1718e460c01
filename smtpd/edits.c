/* SPDX-License-Identifier: ISC */
/*
 * The table is an array in the order of the view. A change splits pieces at its
 * ends and then adds or takes away whole ones; what belongs together again is
 * joined when it is written.
 */
#include "smtpd/edits.h"

#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/envelope.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

/* Text that was cut again stays in memory, to this bound. */
enum { TEXT_KEPT_MAX = 2 * ENVELOPE_PIECE_TEXT_MAX };

struct piece {
	bool		 is_text;
	uint64_t	 offset;	/* in the text, or as stored */
	uint64_t	 length;	/* never 0 */
};

struct edits {
	struct piece		*pieces;	/* owned */
	size_t			 count, capacity;
	uint64_t		 original;	/* bytes that came in */
	uint64_t		 length;	/* of the view */
	uint64_t		 text_length;	/* of the view's own text */
	struct buf		 text;
	struct envelope_piece	*written;	/* owned; null before */
};

struct edits *edits_new(uint64_t length)
{
	struct edits *edits = mem_alloc(sizeof(*edits));

	edits->capacity = 8;
	edits->pieces = mem_alloc_array(edits->capacity,
	    sizeof(edits->pieces[0]));
	edits->original = length;
	edits->length = length;
	if (length > 0)
		edits->pieces[edits->count++] =
		    (struct piece){ .length = length };
	buf_init(&edits->text, TEXT_KEPT_MAX);
	return edits;
}

struct edits *edits_copy(const struct edits *edits)
{
	struct edits *copy = mem_dup(edits, sizeof(*edits));

	copy->pieces = mem_alloc_array(edits->capacity,
	    sizeof(edits->pieces[0]));
	memcpy(copy->pieces, edits->pieces,
	    edits->count * sizeof(edits->pieces[0]));
	buf_init(&copy->text, TEXT_KEPT_MAX);
	buf_add(&copy->text, buf_data(&edits->text),
	    buf_length(&edits->text));
	copy->written = NULL;
	return copy;
}

void edits_free(struct edits *edits)
{
	if (edits == NULL)
		return;
	buf_release(&edits->text);
	mem_free(edits->written);
	mem_free(edits->pieces);
	mem_free(edits);
}

struct edits *edits_of(struct session *session)
{
	struct transaction *transaction = session->transaction;

	if (transaction->edits == NULL)
		transaction->edits = edits_new(transaction->size);
	return transaction->edits;
}

uint64_t edits_length(const struct edits *edits)
{
	return edits->length;
}

static bool joins(const struct piece *one, const struct piece *next)
{
	return one->is_text == next->is_text &&
	    one->offset + one->length == next->offset;
}

/* Bytes of what came in, from its first byte on, that the view begins with. */
static uint64_t untouched(const struct edits *edits)
{
	uint64_t length = 0;

	for (size_t i = 0; i < edits->count; i++) {
		if (edits->pieces[i].is_text ||
		    edits->pieces[i].offset != length)
			break;
		length += edits->pieces[i].length;
	}
	return length;
}

bool edits_changed(const struct edits *edits)
{
	return edits != NULL && (edits->length != edits->original ||
	    untouched(edits) != edits->length);
}

/* Room for one more piece at that place. */
static struct piece *open_gap(struct edits *edits, size_t at)
{
	if (edits->count == edits->capacity) {
		edits->capacity *= 2;
		edits->pieces = mem_resize(edits->pieces, edits->capacity,
		    sizeof(edits->pieces[0]));
	}
	memmove(&edits->pieces[at + 1], &edits->pieces[at],
	    (edits->count - at) * sizeof(edits->pieces[0]));
	edits->count++;
	return &edits->pieces[at];
}

/* The number of the piece that begins at this offset of the view, which is
 * split off if need be; count: the offset is the end. */
static size_t split(struct edits *edits, uint64_t offset)
{
	struct piece *piece, whole;
	size_t at;

	for (at = 0; at < edits->count; at++) {
		if (offset < edits->pieces[at].length)
			break;
		offset -= edits->pieces[at].length;
	}
	if (offset == 0)
		return at;
	if (at == edits->count)
		bug("edits-offset");
	whole = edits->pieces[at];
	piece = open_gap(edits, at);
	piece[0].length = offset;
	piece[1].offset = whole.offset + offset;
	piece[1].length = whole.length - offset;
	return at + 1;
}

/* A change adds two pieces at most. */
static bool is_full(const struct edits *edits)
{
	return edits->count + 2 > ENVELOPE_PIECES_MAX;
}

int edits_cut(struct edits *edits, uint64_t offset, uint64_t length)
{
	size_t first, last;

	if (offset > edits->length || length > edits->length - offset)
		bug("edits-cut");
	if (length == 0)
		return 0;
	if (is_full(edits))
		return -1;
	first = split(edits, offset);
	last = split(edits, offset + length);
	for (size_t i = first; i < last; i++)
		if (edits->pieces[i].is_text)
			edits->text_length -= edits->pieces[i].length;
	memmove(&edits->pieces[first], &edits->pieces[last],
	    (edits->count - last) * sizeof(edits->pieces[0]));
	edits->count -= last - first;
	edits->length -= length;
	return 0;
}

static int insert(struct edits *edits, uint64_t offset,
    const struct piece *piece)
{
	size_t at;

	if (offset > edits->length)
		bug("edits-insert");
	if (piece->length == 0)
		return 0;
	if (is_full(edits))
		return -1;
	at = split(edits, offset);
	*open_gap(edits, at) = *piece;
	edits->length += piece->length;
	return 0;
}

int edits_insert(struct edits *edits, uint64_t offset, const char *text,
    size_t length)
{
	struct piece piece = { .is_text = true,
	    .offset = buf_length(&edits->text), .length = length };

	if (edits->text_length + length > ENVELOPE_PIECE_TEXT_MAX ||
	    is_full(edits) || buf_add(&edits->text, text, length) < 0)
		return -1;
	edits->text_length += length;
	return insert(edits, offset, &piece);
}

int edits_insert_stored(struct edits *edits, uint64_t offset, uint64_t stored,
    uint64_t length)
{
	struct piece piece = { .offset = stored, .length = length };

	return insert(edits, offset, &piece);
}

static size_t read_piece(const struct edits *edits, const struct piece *piece,
    uint64_t skip, char *out, size_t size)
{
	uint64_t left = piece->length - skip;

	if (size > left)
		size = (size_t)left;
	memcpy(out, buf_data(&edits->text) + piece->offset + skip, size);
	return size;
}

size_t edits_read(const struct edits *edits, uint64_t offset, char *out,
    size_t size, edits_source *source, void *arg)
{
	const struct piece *piece = edits->pieces;
	size_t made = 0, part;

	for (size_t i = 0; i < edits->count && made < size; i++, piece++) {
		if (offset >= piece->length) {
			offset -= piece->length;
			continue;
		}
		for (; offset < piece->length && made < size; made += part) {
			part = size - made;
			if (part > piece->length - offset)
				part = (size_t)(piece->length - offset);
			part = piece->is_text ? read_piece(edits, piece, offset,
			    out + made, part) : source(arg,
			    piece->offset + offset, out + made, part);
			if (part == 0)
				bug("edits-source");
			offset += part;
		}
		offset = 0;
	}
	return made;
}

static struct envelope_piece write_piece(const struct edits *edits,
    const struct piece *piece)
{
	struct envelope_piece written = { .length = piece->length };

	if (piece->is_text)
		written.text = buf_data(&edits->text) + piece->offset;
	else
		written.offset = piece->offset;
	return written;
}

void edits_put(struct edits *edits, struct envelope *envelope)
{
	struct envelope_piece *written;
	size_t count = 0;

	envelope->pieces = NULL;
	envelope->piece_count = 0;
	envelope->original_length = edits->original;
	if (!edits_changed(edits))
		return;
	mem_free(edits->written);
	/* No piece at all would mean that all is as it was. */
	written = mem_alloc_array(edits->count + 1, sizeof(*written));
	edits->written = written;
	for (size_t i = 0; i < edits->count; i++) {
		if (i > 0 && joins(&edits->pieces[i - 1], &edits->pieces[i]))
			written[count - 1].length += edits->pieces[i].length;
		else
			written[count++] = write_piece(edits,
			    &edits->pieces[i]);
	}
	envelope->pieces = written;
	envelope->piece_count = count == 0 ? 1 : count;
}
