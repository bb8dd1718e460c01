/* SPDX-License-Identifier: ISC */
/*
 * Replies of remote servers and rows that hold a status. The first two bytes
 * are the reply code. Whatever comes, the text is one line, the class fits the
 * outcome, and what is written is read back unchanged.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_line(const char *text, size_t size)
{
	size_t i;

	must(memchr(text, '\0', size) != NULL);
	for (i = 0; text[i] != '\0'; i++)
		must((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
}

static void check(const struct status *status)
{
	static const int classes[STATUS_OUTCOMES] = { 2, 2, 4, 5 };
	char text[32];

	must(status->outcome < STATUS_OUTCOMES);
	must(status->reason < STATUS_REASONS);
	must(status->code <= 999);
	must(status->enhanced_subject <= 999 &&
	    status->enhanced_detail <= 999);
	must(status->enhanced_class == 0 ||
	    status->enhanced_class == classes[status->outcome]);
	check_line(status->text, sizeof status->text);
	check_line(status->host, sizeof status->host);
	check_line(status->tls, sizeof status->tls);
	status_format_enhanced(status, text, sizeof text);
}

static void check_round_trip(const struct status *status)
{
	struct wire_writer writer;
	struct wire_reader reader;
	struct status again;
	struct buf buf;

	buf_init(&buf, 4096);
	wire_write_begin(&writer, &buf);
	status_put(&writer, status);
	must(wire_write_end(&writer) == 0);
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	status_get(&reader, &again);
	must(wire_read_end(&reader) == 0);
	must(again.outcome == status->outcome &&
	    again.reason == status->reason && again.code == status->code &&
	    again.enhanced_class == status->enhanced_class &&
	    again.enhanced_subject == status->enhanced_subject &&
	    again.enhanced_detail == status->enhanced_detail);
	must(strcmp(again.text, status->text) == 0);
	must(strcmp(again.host, status->host) == 0);
	must(strcmp(again.tls, status->tls) == 0);
	buf_release(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader reader;
	struct status status;
	char *text;

	wire_read_begin(&reader, data, size);
	status_get(&reader, &status);
	check(&status);
	if (!reader.bad)
		check_round_trip(&status);
	else
		must(status.outcome == STATUS_DEFERRED);
	if (size < 2)
		return 0;
	text = malloc(size - 1);
	must(text != NULL);
	memcpy(text, data + 2, size - 2);
	text[size - 2] = '\0';
	status_from_reply(&status, (data[0] << 8 | data[1]) - 100, text);
	status_set_host(&status, text, "192.0.2.1");
	check(&status);
	check_round_trip(&status);
	status_set(&status, STATUS_FAILED, REASON_LOCAL, text, text);
	check(&status);
	free(text);
	return 0;
}
