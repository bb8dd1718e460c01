/* SPDX-License-Identifier: ISC */
/*
 * What sendmail(8) reads, by the first byte: a file of the drop directory, a
 * message with its header, or a command line with a NUL behind each word. What
 * is taken may hold nothing that breaks a line of the dialogue.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "tools/drop_file.h"
#include "tools/outgoing.h"
#include "tools/sendmail_message.h"
#include "tools/sendmail_options.h"

enum { MESSAGE_MAX = 1 << 20, WORDS_MAX = 30 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static void check_word(const char *text)
{
	for (; *text != '\0'; text++)
		must(*text > ' ' && *text <= '~');
}

static void check_line(const char *text)
{
	for (; *text != '\0'; text++)
		must((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void check_envelope(const struct outgoing *outgoing)
{
	check_line(outgoing->sender);
	for (size_t i = 0; i < outgoing->recipients.count; i++)
		check_line(outgoing->recipients.items[i]);
	check_word(outgoing->notify);
	check_word(outgoing->ret);
	check_word(outgoing->envid);
}

static void try_drop(const char *text, size_t size)
{
	struct outgoing outgoing;
	char problem[DROP_PROBLEM];

	outgoing_init(&outgoing, MESSAGE_MAX);
	if (drop_read(&outgoing, text, size, problem) == 0) {
		must(outgoing.recipients.count > 0);
		check_envelope(&outgoing);
	}
	outgoing_release(&outgoing);
}

/* The text as message_read() leaves it: every line has its CRLF. */
static void put_lines(struct buf *buf, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] == '\n')
			buf_add(buf, "\r\n", 2);
		else if (text[i] != '\r' && text[i] != '\0')
			buf_add_byte(buf, text[i]);
	buf_add(buf, "\r\n", 2);
}

static void try_message(const char *text, size_t size)
{
	struct message_facts facts = { .domain = "example.org",
	    .from = "a@example.org", .full_name = "A", .hostname = "h.example",
	    .take_recipients = true };
	struct outgoing outgoing;
	char problem[MESSAGE_PROBLEM];
	const char *made;
	struct buf buf;

	outgoing_init(&outgoing, MESSAGE_MAX);
	buf_init(&buf, MESSAGE_MAX);
	put_lines(&buf, text, size);
	if (message_complete(&outgoing, &buf, &facts, problem) == 0) {
		check_envelope(&outgoing);
		made = buf_string(&outgoing.message);
		must(strstr(made, "\r\n\r\n") != NULL);
		must(strncasecmp(made, "Bcc:", 4) != 0);
	}
	buf_release(&buf);
	outgoing_release(&outgoing);
}

static void try_options(char *text, size_t size)
{
	char *words[WORDS_MAX + 1] = { (char *)"sendmail" };
	char problem[SENDMAIL_PROBLEM];
	struct sendmail_options options;
	int count = 1;

	for (size_t i = 0; i < size && count < WORDS_MAX;
	    i += strlen(text + i) + 1)
		words[count++] = text + i;
	words[count] = NULL;
	if (sendmail_options_read(&options, count, words, problem) == -1) {
		must(strlen(problem) > 0);
		return;
	}
	must(options.operands >= words && options.operands <= words + count);
	if (options.notify != NULL)
		check_word(options.notify);
	must(options.envid == NULL || strlen(options.envid) <= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = malloc(size);
	must(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 3) {
	case 0: try_drop(text, size - 1); break;
	case 1: try_message(text, size - 1); break;
	default: try_options(text, size - 1); break;
	}
	free(text);
	return 0;
}
