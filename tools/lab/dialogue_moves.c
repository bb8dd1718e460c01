/* SPDX-License-Identifier: ISC */
/*
 * The table of moves: what follows the word, how it is read, and what is
 * accepted there. No socket in here: it also serves those who check files.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/dialogue_private.h"
#include "tools/lab/scenario_options.h"

enum { MS_MAX = 30000 };

enum form { FORM_NOTHING, FORM_SERVICE, FORM_HANDSHAKE, FORM_HELLO,
    FORM_BYTES, FORM_REPEAT, FORM_PIECES, FORM_CUT, FORM_CODES, FORM_KEYWORD, FORM_MS };

static const struct verb {
	const char	*word;
	enum form	 form;
	const char	*accepted;
} verbs[LAB_VERBS] = {
#define SECURE "the words name=HOST or no-name, version=1.0 to 1.3, " \
	"ciphers=LIST, resume, early"
#define HELLO "a version (ssl2, ssl3, 1.0, 1.1, 1.2), suites in hexadecimal " \
	"with commas between, and perhaps the word long"
#define BYTES "%HH for a byte, %25 for a per cent sign, | for CRLF, at least " \
	"one and at most a million"
#define CODES "codes with commas between, such as 250,4xx"
	[LAB_VERB_CONNECT] = { "connect", FORM_SERVICE, "connect smtp, "
	    "connect submission or connect submissions, and perhaps the word "
	    "pieces" },
	[LAB_VERB_SECURE] = { "secure", FORM_HANDSHAKE, "secure, with " SECURE
	    ", may-fail" },
	[LAB_VERB_INSECURE] = { "insecure", FORM_HANDSHAKE, "insecure, with "
	    SECURE },
	[LAB_VERB_ACCEPTS] = { "accepts", FORM_HELLO, "accepts with " HELLO },
	[LAB_VERB_REFUSES] = { "refuses", FORM_HELLO, "refuses with " HELLO },
	[LAB_VERB_RENEGOTIATE] = { "renegotiate", FORM_NOTHING,
	    "renegotiate alone" },
	[LAB_VERB_KEEP] = { "keep", FORM_NOTHING, "keep alone" },
	[LAB_VERB_FRESH] = { "fresh", FORM_NOTHING, "fresh alone" },
	[LAB_VERB_UNASKED] = { "unasked", FORM_NOTHING, "unasked alone" },
	[LAB_VERB_SAY] = { "say", FORM_BYTES, "say TEXT, with " BYTES },
	[LAB_VERB_SEND] = { "send", FORM_BYTES, "send BYTES, with " BYTES },
	[LAB_VERB_REPEAT] = { "repeat", FORM_REPEAT, "repeat N BYTES, N from 1 "
	    "to 1000000, with " BYTES " in all" },
	[LAB_VERB_PIECES] = { "pieces", FORM_PIECES, "pieces N BYTES, N from 1 "
	    "to 10000, with " BYTES },
	[LAB_VERB_CUT] = { "cut", FORM_CUT, "cut BYTES, from 2 to 200 of them, "
	    "with " BYTES },
	[LAB_VERB_WANT] = { "want", FORM_CODES, "want " CODES },
	[LAB_VERB_ONLY] = { "only", FORM_CODES, "only " CODES },
	[LAB_VERB_ENOUGH] = { "enough", FORM_CODES, "enough " CODES },
	[LAB_VERB_OFFERS] = { "offers", FORM_KEYWORD, "offers KEYWORD" },
	[LAB_VERB_LACKS] = { "lacks", FORM_KEYWORD, "lacks KEYWORD" },
	[LAB_VERB_NEEDS] = { "needs", FORM_KEYWORD, "needs KEYWORD" },
	[LAB_VERB_QUIET] = { "quiet", FORM_MS, "quiet MS, from 1 to 30000" },
	[LAB_VERB_CLOSED] = { "closed", FORM_NOTHING, "closed alone" },
	[LAB_VERB_UNWRAP] = { "unwrap", FORM_NOTHING, "unwrap alone" },
	[LAB_VERB_CLOSE] = { "close", FORM_NOTHING, "close alone" },
	[LAB_VERB_DROP] = { "drop", FORM_NOTHING, "drop alone" },
	[LAB_VERB_RESET] = { "reset", FORM_NOTHING, "reset alone" },
	[LAB_VERB_WAIT] = { "wait", FORM_MS, "wait MS, from 1 to 30000" },
#undef SECURE
#undef HELLO
#undef BYTES
#undef CODES
};

static int hexadecimal(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)tolower((unsigned char)digit);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int lab_move_bytes(const char *text, struct buf *bytes)
{
	for (; *text != '\0'; text++) {
		int result;

		if (*text == '|') {
			result = buf_add(bytes, "\r\n", 2);
		} else if (*text == '%') {
			result = buf_add_byte(bytes, (char)(hexadecimal(
			    text[1]) << 4 | hexadecimal(text[2])));
			text += 2;
		} else {
			result = buf_add_byte(bytes, *text);
		}
		if (result == -1)
			return -1;
	}
	return 0;
}

/* How many bytes, or 0 when the text is wrong. */
static size_t count_bytes(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++) {
		if (*text == '%') {
			if (hexadecimal(text[1]) == -1 ||
			    hexadecimal(text[2]) == -1)
				return 0;
			text += 2;
		}
		count += *text == '|' ? 2 : 1;
	}
	return count;
}

/* The next word of a text that is moved behind it; false at its end. */
static bool next_word(const char **text, char *word, size_t size)
{
	size_t length = strcspn(*text, " ");

	if (length == 0 || length >= size)
		return false;
	memcpy(word, *text, length);
	word[length] = '\0';
	*text += length;
	*text += strspn(*text, " ");
	return true;
}

static bool read_number(const char **text, int64_t max, int64_t *number)
{
	char word[16], *end;

	if (!next_word(text, word, sizeof(word)) ||
	    !isdigit((unsigned char)word[0]))
		return false;
	*number = strtoll(word, &end, 10);
	return *end == '\0' && *number >= 1 && *number <= max;
}

static bool read_service(struct lab_move *move)
{
	const char *rest = move->argument;
	char word[32];

	if (!next_word(&rest, word, sizeof(word)) ||
	    lab_word_index(lab_service_words, word, strlen(word)) == -1)
		return false;
	move->in_pieces = strcmp(rest, "pieces") == 0;
	return move->in_pieces || *rest == '\0';
}

/* "1.2" and, if older are known, "ssl3"; 0 when it is none. */
static int version_number(const char *word, bool older)
{
	static const struct { const char *word; int number; bool old; }
	    versions[] = { { "1.3", TLS1_3_VERSION, false },
	    { "1.2", TLS1_2_VERSION, true }, { "1.1", TLS1_1_VERSION, true },
	    { "1.0", TLS1_VERSION, true }, { "ssl3", SSL3_VERSION, true },
	    { "ssl2", SSL2_VERSION, true } };

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (strcmp(word, versions[i].word) == 0)
			return older ? (versions[i].old ? versions[i].number :
			    0) : word[0] != 's' ? versions[i].number : 0;
	return 0;
}

/* What follows "WORD=", which is not empty and fits. */
static bool read_value(const char *word, const char *name, char *value,
    size_t size)
{
	size_t length = strlen(name);

	if (strncmp(word, name, length) != 0 || word[length] == '\0' ||
	    strlen(word + length) >= size)
		return false;
	memcpy(value, word + length, strlen(word + length) + 1);
	return true;
}

static bool read_handshake_word(struct lab_handshake *handshake,
    const char *word, bool may_fail)
{
	char version[8];

	if (read_value(word, "name=", handshake->name,
	    sizeof(handshake->name)) || read_value(word, "ciphers=",
	    handshake->ciphers, sizeof(handshake->ciphers)))
		return true;
	if (read_value(word, "version=", version, sizeof(version)))
		return (handshake->version = version_number(version,
		    false)) != 0;
	if (strcmp(word, "no-name") == 0)
		return handshake->no_name = true;
	if (strcmp(word, "resume") == 0)
		return handshake->resume = true;
	if (strcmp(word, "early") == 0)
		return handshake->early = true;
	if (may_fail && strcmp(word, "may-fail") == 0)
		return handshake->may_fail = true;
	return false;
}

static bool read_handshake(struct lab_move *move)
{
	const char *rest = move->argument;
	char word[280];

	while (*rest != '\0')
		if (!next_word(&rest, word, sizeof(word)) ||
		    !read_handshake_word(&move->handshake, word,
		    move->verb == LAB_VERB_SECURE))
			return false;
	return true;
}

static bool read_suites(struct lab_hello *hello, const char *text)
{
	while (hello->count < LAB_SUITES_MAX) {
		unsigned suite = 0;

		for (int i = 0; i < 4; i++, text++) {
			if (hexadecimal(*text) == -1)
				return false;
			suite = suite << 4 | (unsigned)hexadecimal(*text);
		}
		hello->suites[hello->count++] = (uint16_t)suite;
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
	return false;
}

static bool read_hello(struct lab_move *move)
{
	const char *rest = move->argument;
	char word[200];

	if (!next_word(&rest, word, sizeof(word)) ||
	    (move->hello.version = version_number(word, true)) == 0 ||
	    !next_word(&rest, word, sizeof(word)) ||
	    !read_suites(&move->hello, word))
		return false;
	move->hello.is_long = strcmp(rest, "long") == 0;
	return move->hello.is_long || *rest == '\0';
}

static bool is_code(const char *text)
{
	return isdigit((unsigned char)text[0]) &&
	    ((isdigit((unsigned char)text[1]) &&
	    isdigit((unsigned char)text[2])) ||
	    (text[1] == 'x' && text[2] == 'x'));
}

static bool are_codes(const char *text)
{
	while (is_code(text)) {
		if (text[3] == '\0')
			return true;
		if (text[3] != ',')
			return false;
		text += 4;
	}
	return false;
}

bool lab_codes_match(const char *codes, const char *reply)
{
	for (;; codes += 4) {
		if (memcmp(codes, reply, 3) == 0 ||
		    (codes[1] == 'x' && codes[0] == reply[0]))
			return true;
		if (codes[3] == '\0')
			return false;
	}
}

static bool read_argument(struct lab_move *move, enum form form)
{
	size_t count;

	switch (form) {
	case FORM_NOTHING:
		return *move->argument == '\0';
	case FORM_SERVICE:
		return read_service(move);
	case FORM_HANDSHAKE:
		return read_handshake(move);
	case FORM_HELLO:
		return read_hello(move);
	case FORM_REPEAT:
		if (!read_number(&move->argument, LAB_BYTES_MAX,
		    &move->number))
			return false;
		count = count_bytes(move->argument);
		return count > 0 && count <= (size_t)(LAB_BYTES_MAX /
		    move->number);
	case FORM_PIECES:
		if (!read_number(&move->argument, 10000, &move->number))
			return false;
		/* FALLTHROUGH */
	case FORM_BYTES:
		count = count_bytes(move->argument);
		return count > 0 && count < LAB_BYTES_MAX - 2;
	case FORM_CUT:
		count = count_bytes(move->argument);
		return count >= 2 && count <= 200;
	case FORM_CODES:
		return are_codes(move->argument);
	case FORM_KEYWORD:
		return *move->argument != '\0' &&
		    strchr(move->argument, ' ') == NULL;
	case FORM_MS:
		return read_number(&move->argument, MS_MAX, &move->number) &&
		    *move->argument == '\0';
	default:
		return false;
	}
}

const char *lab_move_read(struct lab_move *move, const char *text)
{
	size_t length = strcspn(text, " ");

	memset(move, 0, sizeof(*move));
	move->text = text;
	for (int i = 0; i < LAB_VERBS; i++) {
		if (strlen(verbs[i].word) != length ||
		    memcmp(verbs[i].word, text, length) != 0)
			continue;
		move->verb = (enum lab_verb)i;
		/* One space: a TEXT may begin with another. */
		move->argument = text + length + (text[length] == ' ');
		return read_argument(move, verbs[i].form) ? NULL :
		    verbs[i].accepted;
	}
	return "connect, secure, insecure, accepts, refuses, renegotiate, keep, "
	    "fresh, unasked, say, send, repeat, pieces, cut, want, only, "
	    "enough, offers, lacks, needs, quiet, closed, unwrap, close, drop, "
	    "reset, wait";
}

const char *lab_move_problem(const char *text)
{
	struct lab_move move;

	return lab_move_read(&move, text);
}
