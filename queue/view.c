/* SPDX-License-Identifier: ISC */
/*
 * From offsets in a view to places in the stored body. The pieces were checked
 * when they came (envelope_content_fits), so sums do not overflow.
 */
#include "queue/view.h"

void view_init(struct view *view, const struct envelope *envelope,
    uint64_t stored)
{
	view->pieces = envelope == NULL ? NULL : envelope->pieces;
	view->count = envelope == NULL ? 0 : envelope->piece_count;
	view->whole = (struct envelope_piece){ .length = stored };
}

static size_t piece_count(const struct view *view)
{
	return view->count == 0 ? 1 : view->count;
}

static const struct envelope_piece *piece_at(const struct view *view, size_t i)
{
	return view->count == 0 ? &view->whole : &view->pieces[i];
}

uint64_t view_length(const struct view *view)
{
	uint64_t length = 0;

	for (size_t i = 0; i < piece_count(view); i++)
		length += piece_at(view, i)->length;
	return length;
}

uint64_t view_message_size(const struct envelope *envelope, uint64_t stored)
{
	struct view view;

	view_init(&view, envelope, stored);
	return view_length(&view) + envelope->prefix_length;
}

bool view_part(const struct view *view, uint64_t offset, size_t most,
    struct view_part *part)
{
	const struct envelope_piece *piece;
	size_t i = 0;

	while (i < piece_count(view) && offset >= piece_at(view, i)->length)
		offset -= piece_at(view, i++)->length;
	if (i == piece_count(view) || most == 0)
		return false;
	piece = piece_at(view, i);
	if (most > piece->length - offset)
		most = (size_t)(piece->length - offset);
	part->text = piece->text == NULL ? NULL : piece->text + offset;
	part->offset = piece->text == NULL ? piece->offset + offset : 0;
	part->length = most;
	return true;
}
