/* SPDX-License-Identifier: ISC */
/*
 * Header sections from anybody. The first byte says where the data is cut in
 * two: a scan may not notice. Scan and header_length() must agree, and a
 * value that was found and is written again must be found again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void try_scan(const char *text, size_t size, size_t cut)
{
	struct header_scan whole, parts;

	header_scan_init(&whole);
	header_scan_init(&parts);
	header_scan_feed(&whole, text, size);
	header_scan_feed(&parts, text, cut);
	header_scan_feed(&parts, text + cut, size - cut);
	must(whole.received_count == parts.received_count);
	must(whole.header_bytes == parts.header_bytes);
	must(whole.ended == parts.ended);
	must(whole.has_8bit == parts.has_8bit);
	must(whole.has_utf8_header == parts.has_utf8_header);
	must(whole.tls_required_count == parts.tls_required_count);
	must(whole.tls_required_no == parts.tls_required_no);
	must(whole.tls_required_no <= whole.tls_required_count);
	must(whole.header_bytes == header_length(text, size));
	must(whole.header_bytes <= size);
	must(whole.has_8bit || !whole.has_utf8_header);
}

/* REQ-19: what the scan calls a tag is a field whose value is "No" and
 * nothing else, as far as another reader can see. */
static void try_tls_required(const char *text, size_t size)
{
	struct header_scan scan;
	struct buf value;
	bool says_no;

	header_scan_init(&scan);
	header_scan_feed(&scan, text, size);
	if (scan.tls_required_count != 1 || memchr(text, '\0', size) != NULL ||
	    memchr(text, '\r', size) != NULL)
		return;
	buf_init(&value, 1 << 20);
	must(header_find(text, size, "TLS-Required", &value));
	says_no = strcasecmp(buf_string(&value), "No") == 0;
	must(says_no == (scan.tls_required_no == 1));
	buf_release(&value);
}

static void try_find(const char *text, size_t size, const char *name)
{
	struct buf value, line, again;

	buf_init(&value, 700);
	buf_init(&line, 5000);
	buf_init(&again, 5000);
	if (header_find(text, size, name, &value) &&
	    header_add(&line, name, buf_string(&value)) == 0) {
		const char *end = memchr(buf_data(&line), '\n',
		    buf_length(&line));

		must(end != NULL && end > buf_data(&line) && end[-1] == '\r');
		must(header_find(buf_data(&line), buf_length(&line), name,
		    &again));
		/* One field, with nothing behind it. */
		must(header_length(buf_data(&line), buf_length(&line)) ==
		    buf_length(&line));
		must(buf_length(&again) <= buf_length(&value));
	}
	buf_release(&value);
	buf_release(&line);
	buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = malloc(size - 1 + (size == 1));
	must(text != NULL);
	memcpy(text, data + 1, size - 1);
	try_scan(text, size - 1, data[0] < size ? data[0] : size - 1);
	try_tls_required(text, size - 1);
	try_find(text, size - 1, "Subject");
	try_find(text, size - 1, "a");
	free(text);
	return 0;
}
