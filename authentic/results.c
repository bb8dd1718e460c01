/* SPDX-License-Identifier: ISC */
/*
 * Writing: each property is one word, so that a fold is possible before it;
 * what is too long to be one is left out. Reading: only the beginning matters,
 * [CFWS] authserv-id [CFWS version] ";", and whoever reads it may be more
 * lenient than we are: what is not plainly another's name counts as ours.
 */
#include "authentic/results.h"

#include <string.h>
#include <strings.h>

#include "authentic/fields.h"
#include "base/address.h"
#include "base/buf.h"
#include "base/idn.h"
#include "base/mem.h"
#include "base/utf8.h"

static const char field_name[] = "Authentication-Results";

enum { COLUMN_MAX = 77, VALUE_MAX = 320 };

/* RFC 2045 5.1: no token has these, nor blanks and control characters. */
static const char specials[] = "()<>@,;:\\\"/[]?=";

static bool is_token_byte(char byte)
{
	unsigned char value = (unsigned char)byte;

	return value > ' ' && value != 0x7f && strchr(specials, byte) == NULL;
}

/* --- writing --- */

struct writer {
	struct buf	 out;
	size_t		 column;
	bool		 full;
	bool		 utf8;
	bool		 brief;		/* it was too long */
};

static void put(struct writer *writer, const char *text)
{
	if (buf_add_string(&writer->out, text) == -1)
		writer->full = true;
	writer->column += strlen(text);
}

/* With a blank before it, or in a line of its own. */
static void put_word(struct writer *writer, const char *word)
{
	if (writer->column + 1 + strlen(word) > COLUMN_MAX) {
		put(writer, "\r\n");
		writer->column = 0;
	}
	put(writer, " ");
	put(writer, word);
}

/* UTF-8 may stand only within quotes (RFC 6532 3.2). */
static bool is_token(const char *text)
{
	if (*text == '\0' || !utf8_is_ascii(text))
		return false;
	while (is_token_byte(*text))
		text++;
	return *text == '\0';
}

/* A quoted-string; what cannot be in one is "?". Never without its end: the
 * value was measured before. */
static void quote(char *out, const char *text)
{
	*out++ = '"';
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < ' ' || byte == 0x7f) {
			*out++ = '?';
			continue;
		}
		if (byte == '"' || byte == '\\')
			*out++ = '\\';
		*out++ = *text;
	}
	*out++ = '"';
	*out = '\0';
}

/* "name=value", quoted if it must be. Nothing at all when it is empty or
 * cannot be written: something else would be untrue. */
static void put_property(struct writer *writer, const char *name,
    const char *value)
{
	char quoted[2 * VALUE_MAX + 3];
	size_t length = strlen(value);
	char *word;

	if (length == 0 || length > VALUE_MAX)
		return;
	if (!utf8_is_ascii(value) &&
	    (!writer->utf8 || !utf8_is_valid(value, length)))
		return;
	quote(quoted, value);
	word = mem_print("%s=%s", name, is_token(value) ? value : quoted);
	put_word(writer, word);
	mem_free(word);
}

/* RFC 5322 atext without what no domain has, and "@domain" behind it: may
 * stand as it is (RFC 8601 2.2, pvalue). */
static bool is_plain_address(const char *text)
{
	const char *at = strchr(text, '@');
	char name[ADDRESS_DOMAIN_MAX + 1];

	if (at == NULL || text[0] == '.' || (at > text && at[-1] == '.') ||
	    strstr(text, "..") != NULL)
		return false;
	if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789!#$%&'*+-^_`{|}~.") < (size_t)(at - text))
		return false;
	return domain_parse(name, sizeof(name), at + 1, strlen(at + 1)) == 0;
}

/* Without its local part where that is nobody's word, or cannot be written. */
static void put_identity(struct writer *writer, const struct dkim_result *one)
{
	const char *identity = one->identity, *at = strrchr(identity, '@');
	char *word;

	if (at == NULL)
		return;
	if (one->proof != PROOF_PASS || strlen(identity) > VALUE_MAX ||
	    (!utf8_is_ascii(identity) && (!writer->utf8 ||
	    !utf8_is_valid(identity, strlen(identity)))))
		identity = at;
	if (!is_plain_address(identity)) {
		put_property(writer, "header.i", identity);
		return;
	}
	word = mem_print("header.i=%s", identity);
	put_word(writer, word);
	mem_free(word);
}

static void put_method(struct writer *writer, const char *method,
    enum proof proof)
{
	char *word = mem_print("%s=%s", method, proof_name(proof));

	put(writer, ";");
	put_word(writer, word);
	mem_free(word);
}

static void put_dkim(struct writer *writer, const struct dkim_result *one)
{
	put_method(writer, "dkim", one->proof);
	if (one->proof != PROOF_PASS && !writer->brief)
		put_property(writer, "reason", one->reason);
	put_property(writer, "header.d", one->domain);
	if (!writer->brief) {
		put_identity(writer, one);
		put_property(writer, "header.a", one->algorithm);
		put_property(writer, "header.s", one->selector);
	}
	put_property(writer, "header.b", one->signature);
}

static void put_dmarc(struct writer *writer, const struct results *results)
{
	static const char *const policies[] = { "none", "quarantine",
	    "reject" };

	put_method(writer, "dmarc", results->dmarc);
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (results->dmarc_policy != NULL &&
		    strcmp(results->dmarc_policy, policies[i]) == 0) {
			char *word = mem_print("(p=%s)", policies[i]);

			put_word(writer, word);
			mem_free(word);
		}
	if (results->dmarc_domain != NULL)
		put_property(writer, "header.from", results->dmarc_domain);
}

static bool is_nothing(const struct results *results)
{
	return results->user == NULL && !results->iprev_done &&
	    !results->spf_done && results->dkim_count == 0 &&
	    !results->dkim_done && !results->dmarc_done;
}

static void put_all(struct writer *writer, const struct results *results)
{
	if (results->user != NULL) {
		put_method(writer, "auth", PROOF_PASS);
		put_property(writer, "smtp.auth", results->user);
	}
	if (results->iprev_done) {
		put_method(writer, "iprev", results->iprev);
		if (results->client != NULL)
			put_property(writer, "policy.iprev", results->client);
	}
	if (results->spf_done) {
		put_method(writer, "spf", results->spf);
		if (results->spf_domain != NULL)
			put_property(writer, results->spf_of_hello ?
			    "smtp.helo" : "smtp.mailfrom",
			    results->spf_domain);
	}
	for (size_t i = 0; i < results->dkim_count; i++)
		put_dkim(writer, results->dkim[i]);
	if (results->dkim_done && results->dkim_count == 0)
		put_method(writer, "dkim", PROOF_NONE);
	if (results->dmarc_done)
		put_dmarc(writer, results);
}

/* The configuration is ours, but may say anything. */
static void put_name(struct writer *writer, const char *name)
{
	char quoted[2 * VALUE_MAX + 3];

	if (strlen(name) > VALUE_MAX || *name == '\0') {
		writer->full = true;
		return;
	}
	quote(quoted, name);
	put_word(writer, is_token(name) ? name : quoted);
}

static void print(struct writer *writer, const struct results *results)
{
	buf_reset(&writer->out);
	writer->column = 0;
	writer->full = false;
	put(writer, field_name);
	put(writer, ":");
	put_name(writer, results->name);
	if (is_nothing(results))
		put(writer, "; none");
	else
		put_all(writer, results);
	put(writer, "\r\n");
}

int results_print(const struct results *results, struct buf *out)
{
	struct writer writer = { .utf8 = results->utf8 };
	int result = -1;

	buf_init(&writer.out, RESULTS_BYTES_MAX);
	print(&writer, results);
	if (writer.full) {
		writer.brief = true;
		print(&writer, results);
	}
	if (!writer.full)
		result = buf_add(out, buf_data(&writer.out),
		    buf_length(&writer.out));
	buf_release(&writer.out);
	return result;
}

/* --- reading --- */

struct reader {
	const char	*at, *end;
	bool		 wrong;
};

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Comments in comments are counted, not followed. */
static void skip_comment(struct reader *reader)
{
	size_t depth = 0;

	while (reader->at < reader->end) {
		char byte = *reader->at++;

		if (byte == '\\' && reader->at < reader->end)
			reader->at++;
		else if (byte == '(')
			depth++;
		else if (byte == ')' && --depth == 0)
			return;
	}
	reader->wrong = true;
}

/* CFWS (RFC 5322 3.2.2). */
static void skip_blank(struct reader *reader)
{
	while (reader->at < reader->end && !reader->wrong) {
		if (*reader->at == '(')
			skip_comment(reader);
		else if (is_space(*reader->at))
			reader->at++;
		else
			return;
	}
}

/* The contents, without folds. */
static void read_quoted(struct reader *reader, struct buf *out)
{
	reader->at++;
	while (reader->at < reader->end) {
		char byte = *reader->at++;

		if (byte == '"')
			return;
		if (byte == '\\' && reader->at < reader->end)
			byte = *reader->at++;
		if (byte == '\r' || byte == '\n')
			continue;
		if (buf_add_byte(out, byte) == -1)
			break;
	}
	reader->wrong = true;
}

static void read_token(struct reader *reader, struct buf *out)
{
	while (reader->at < reader->end && is_token_byte(*reader->at)) {
		if (buf_add_byte(out, *reader->at) == -1) {
			reader->wrong = true;
			return;
		}
		reader->at++;
	}
}

/* Nothing, or 1 (RFC 8601 2.2); leading zeros change nothing. */
static void read_version(struct reader *reader)
{
	const char *start;

	skip_blank(reader);
	start = reader->at;
	while (reader->at < reader->end && *reader->at == '0')
		reader->at++;
	if (reader->at < reader->end && *reader->at == '1')
		reader->at++;
	else if (reader->at > start)
		reader->wrong = true;
	skip_blank(reader);
}

/* The authserv-id; false if it, the version or what follows is not as it
 * should be. */
static bool read_start(const struct field *field, struct buf *name)
{
	struct reader reader = { .at = field->text + field->value,
	    .end = field->text + field->length };

	skip_blank(&reader);
	if (reader.wrong || reader.at == reader.end)
		return false;
	if (*reader.at == '"')
		read_quoted(&reader, name);
	else
		read_token(&reader, name);
	if (reader.wrong || buf_length(name) == 0)
		return false;
	read_version(&reader);
	return !reader.wrong && (reader.at == reader.end ||
	    *reader.at == ';');
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 'a' - 'A';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* What a lenient reader may take for the same: %2E for a dot, blanks within
 * the quotes, a last dot. */
static void reduce(char *text)
{
	char *from = text, *to = text;

	for (; *from != '\0'; from++) {
		int high = *from == '%' ? hex_digit(from[1]) : -1;
		int low = high < 0 ? -1 : hex_digit(from[2]);
		char byte = *from;

		if (low >= 0) {
			byte = (char)(high << 4 | low);
			from += 2;
		}
		if (!is_space(byte) && byte != '\0')
			*to++ = byte;
	}
	while (to > text && to[-1] == '.')
		to--;
	*to = '\0';
}

/* In any case, and as U-labels or A-labels. */
static bool is_same(const char *one, const char *other)
{
	char first[ADDRESS_DOMAIN_MAX + 1], second[ADDRESS_DOMAIN_MAX + 1];

	if (strcasecmp(one, other) == 0)
		return true;
	return strlen(one) <= IDN_TEXT_MAX && strlen(other) <= IDN_TEXT_MAX &&
	    domain_to_ascii(first, sizeof(first), one) == NULL &&
	    domain_to_ascii(second, sizeof(second), other) == NULL &&
	    strcmp(first, second) == 0;
}

static bool is_control(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (((unsigned char)text[i] < ' ' && !is_space(text[i])) ||
		    text[i] == 0x7f)
			return true;
	return false;
}

bool results_field_is_ours(const struct field *field, const char *name)
{
	struct buf read;
	char *text, *ours;
	bool same = true;

	if (field->name_length != sizeof(field_name) - 1 ||
	    strncasecmp(field->text, field_name, field->name_length) != 0)
		return false;
	buf_init(&read, FIELDS_BYTES_MAX);
	if (!is_control(field->text, field->length) &&
	    read_start(field, &read)) {
		text = buf_take(&read);
		ours = mem_dup_string(name);
		reduce(text);
		reduce(ours);
		/* What is no text at all cannot be told from our name. */
		same = *text == '\0' ||
		    !utf8_is_valid(text, strlen(text)) || is_same(text, ours);
		mem_free(text);
		mem_free(ours);
	}
	buf_release(&read);
	return same;
}
