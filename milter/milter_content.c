/* SPDX-License-Identifier: ISC */
/*
 * Header, end of header, body, end of message: whatever of it the filter wants,
 * each after the answer to what was before it. Where no answer comes, the
 * output is kept short and the rest waits until it has left.
 */
#include "milter/milter_internal.h"

#include "authentic/fields.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "milter/question.h"

static bool is_wanted(const struct milter *milter, enum stage stage)
{
	return negotiated_wants(&milter->options, stage) &&
	    (milter->skipped & 1u << stage) == 0;
}

static void send_stage(struct milter *milter, enum stage stage,
    const struct buf *data)
{
	milter->stage = stage;
	milter->answer_due = negotiated_answers(&milter->options, stage);
	milter_wait(milter, milter->settings.reply_ms);
	milter_send(milter, stage, buf_data(data), buf_length(data));
}

static void send_empty(struct milter *milter, enum stage stage)
{
	struct buf none;

	buf_init(&none, 0);
	send_stage(milter, stage, &none);
}

/* Each of these sends one frame or moves on to the next part. */
static void send_field(struct milter *milter)
{
	const struct fields *fields = milter->content->fields;
	size_t max = negotiated_data_max(&milter->options);
	const struct field *field;
	struct buf data;

	if (!is_wanted(milter, STAGE_HEADER) ||
	    milter->field == fields->count) {
		milter->next = STAGE_END_OF_HEADER;
		return;
	}
	field = &fields->items[milter->field++];
	/* What is no field cannot be said as one. */
	if (field->name_length == 0 || field->name_length + 2 > max)
		return;
	buf_init(&data, max);
	question_field(&data, field,
	    (milter->options.steps & STEP_LEADING_SPACE) != 0, max);
	send_stage(milter, STAGE_HEADER, &data);
	buf_release(&data);
}

static void send_end_of_header(struct milter *milter)
{
	milter->next = STAGE_BODY;
	if (is_wanted(milter, STAGE_END_OF_HEADER))
		send_empty(milter, STAGE_END_OF_HEADER);
}

static void send_body(struct milter *milter)
{
	const struct milter_content *content = milter->content;
	size_t max = negotiated_data_max(&milter->options), got, used = 0;
	struct buf data;
	char *room;

	milter->next = STAGE_END;
	if (!is_wanted(milter, STAGE_BODY))
		return;
	buf_init(&data, max);
	room = buf_reserve(&data, max);
	while (used < max && (got = content->read(content->arg,
	    milter->offset + used, room + used, max - used)) > 0)
		used += got;
	buf_commit(&data, used);
	milter->offset += used;
	if (used > 0) {
		milter->next = STAGE_BODY;
		send_stage(milter, STAGE_BODY, &data);
	}
	buf_release(&data);
}

static void send_next(struct milter *milter)
{
	switch (milter->next) {
	case STAGE_HEADER:
		send_field(milter);
		break;
	case STAGE_END_OF_HEADER:
		send_end_of_header(milter);
		break;
	case STAGE_BODY:
		send_body(milter);
		break;
	case STAGE_END:
		send_empty(milter, STAGE_END);
		break;
	default:
		bug("milter-content-stage");
	}
}

void milter_content_go_on(struct milter *milter)
{
	while (milter->state == STATE_ASKED && !milter->answer_due) {
		if (stream_pending(milter->stream) > MILTER_PENDING_MAX) {
			milter->draining = true;
			milter_wait(milter, milter->settings.reply_ms);
			return;
		}
		send_next(milter);
	}
}

void milter_content_begin(struct milter *milter)
{
	milter->next = STAGE_HEADER;
	milter->field = 0;
	milter->offset = 0;
	milter_enter(milter, STATE_ASKED);
	milter_content_go_on(milter);
}
