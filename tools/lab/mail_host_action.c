/* SPDX-License-Identifier: ISC */
/*
 * The words are those of scenario_options.h, so that the reader of scenarios
 * and who acts on them know the same ones.
 */
#include "tools/lab/mail_host_action.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "tools/lab/actors_link.h"
#include "tools/lab/scenario_options.h"

enum { VISIT_MAX = 1000000, TEXT_MAX = 256 << 10 };

#define STAGE(name)	(1u << LAB_STAGE_ ## name)
#define EVERYWHERE	((1u << LAB_STAGES) - 1)
/* There TLS has not begun, or is over. */
#define IN_CLEAR	(STAGE(CONNECT) | STAGE(EHLO) | STAGE(STARTTLS) | \
			STAGE(HANDSHAKE) | STAGE(FLIGHT))
/* There a good server says nothing, so there is no true reply to spoil. */
#define SILENT		(STAGE(CONNECT) | STAGE(HANDSHAKE) | STAGE(FLIGHT) | \
			STAGE(IDLE))

/* There the client waits for the rest of a record: bytes that are none of it
 * are no different from its end. */
#define IN_RECORD	STAGE(FLIGHT)

/* At which stages each means something. */
static const uint32_t stages_of[LAB_ACTS] = {
	[LAB_ACT_CLOSE] = EVERYWHERE,
	[LAB_ACT_CUT] = EVERYWHERE,
	[LAB_ACT_RESET] = EVERYWHERE,
	[LAB_ACT_STALL] = EVERYWHERE,
	[LAB_ACT_GARBAGE] = EVERYWHERE & ~IN_RECORD,
	[LAB_ACT_ALERT] = EVERYWHERE & ~IN_RECORD,
	[LAB_ACT_CORRUPT] = EVERYWHERE & ~IN_CLEAR,
	[LAB_ACT_TARPIT] = EVERYWHERE & ~SILENT,
	[LAB_ACT_BYTES] = EVERYWHERE & ~SILENT,
	[LAB_ACT_FLOOD] = EVERYWHERE & ~SILENT,
	[LAB_ACT_LONG] = EVERYWHERE & ~SILENT,
	[LAB_ACT_BARE] = EVERYWHERE & ~SILENT,
	[LAB_ACT_HALF] = EVERYWHERE & ~SILENT,
	[LAB_ACT_UNWRAP] = EVERYWHERE & ~IN_CLEAR,
	[LAB_ACT_RAW] = EVERYWHERE & ~IN_RECORD,
	[LAB_ACT_REPLY] = EVERYWHERE & ~IN_RECORD
};

/* --- visits --- */

/* A number from 1 on, without sign and leading zeros; 0: it is none. */
static unsigned read_number(const char *text, size_t length)
{
	unsigned number = 0;
	size_t i;

	if (length == 0 || text[0] == '0')
		return 0;
	for (i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9' || number > VISIT_MAX)
			return 0;
		number = number * 10 + (unsigned)(text[i] - '0');
	}
	return number;
}

size_t lab_visits_read(const char *text, size_t length,
    struct lab_visits *visits)
{
	const char *mark = memchr(text, '#', length);
	bool open = mark != NULL && text[length - 1] == '-';
	size_t word = mark != NULL ? (size_t)(mark - text) : length;

	*visits = (struct lab_visits){ 1, UINT32_MAX };
	if (mark == NULL)
		return length;
	visits->first = read_number(mark + 1, length - word - 1 - open);
	if (!open)
		visits->last = visits->first;
	return visits->first != 0 ? word : 0;
}

/* --- replies --- */

static int hex_value(char digit)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = digit != '\0' ? strchr(digits,
	    tolower((unsigned char)digit)) : NULL;

	return found != NULL ? (int)(found - digits) : -1;
}

/* Adds the bytes that the words stand for: "|" is a line's end, "%HH" a byte.
 * -1 for a "%" without two digits, and for too much. */
static int add_bytes(struct buf *text, const char *words)
{
	const char *p;
	int result = 0;

	for (p = words; *p != '\0' && result == 0; p++) {
		if (*p == '|') {
			result = buf_add(text, "\r\n", 2);
		} else if (*p != '%') {
			result = buf_add_byte(text, *p);
		} else {
			int high = hex_value(p[1]);
			int low = high != -1 ? hex_value(p[2]) : -1;

			if (low == -1)
				return -1;
			result = buf_add_byte(text, (char)(high << 4 | low));
			p += 2;
		}
	}
	return result;
}

static int read_reply(struct lab_action *action, const char *words)
{
	if (strspn(words, "0123456789") != 3)
		return -1;
	action->code = (words[0] - '0') * 100 + (words[1] - '0') * 10 +
	    words[2] - '0';
	return add_bytes(&action->text, words) == 0 ?
	    buf_add(&action->text, "\r\n", 2) : -1;
}

/* --- one line --- */

/* What stands behind the action's word, if it may. */
static int read_rest(struct lab_action *action, const char *rest)
{
	switch (action->act) {
	case LAB_ACT_ALERT:
		action->alert = rest;
		return *rest == '\0' || lab_link_knows_alert(rest,
		    strlen(rest)) ? 0 : -1;
	case LAB_ACT_UNWRAP:
		return read_reply(action, rest);
	case LAB_ACT_RAW:
		return *rest != '\0' ? add_bytes(&action->text, rest) : -1;
	default:
		return *rest == '\0' ? 0 : -1;
	}
}

static int read_act(struct lab_action *action, const char *words)
{
	size_t length = strcspn(words, " \t");
	int act = lab_word_index(lab_action_words, words, length);

	action->act = act != -1 ? (enum lab_act)act : LAB_ACT_REPLY;
	if ((stages_of[action->act] & 1u << action->stage) == 0)
		return -1;
	if (act == -1)
		return read_reply(action, words);
	words += length;
	return read_rest(action, words + strspn(words, " \t"));
}

static int read_parts(struct lab_action *action, const char *stage,
    size_t length, const char *words)
{
	size_t word = lab_visits_read(stage, length, &action->visits);
	int index = lab_word_index(lab_stage_words, stage, word);

	action->alert = "";
	action->code = 0;
	if (index == -1)
		return -1;
	action->stage = (enum lab_stage)index;
	buf_init(&action->text, TEXT_MAX);
	if (read_act(action, words) == 0)
		return 0;
	buf_release(&action->text);
	return -1;
}

int lab_action_read(struct lab_action *action, const char *text)
{
	size_t length = strcspn(text, " \t");
	const char *words = text + length;

	action->words = text;
	return read_parts(action, text, length, words + strspn(words, " \t"));
}

void lab_action_release(struct lab_action *action)
{
	buf_release(&action->text);
}

bool lab_action_fits(const char *stage, const char *action)
{
	struct lab_action read;

	if (read_parts(&read, stage, strlen(stage), action) == -1)
		return false;
	lab_action_release(&read);
	return true;
}

bool lab_action_needs_tls(const struct lab_action *action)
{
	return action->act == LAB_ACT_CORRUPT ||
	    action->act == LAB_ACT_UNWRAP;
}
