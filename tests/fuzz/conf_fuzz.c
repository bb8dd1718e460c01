/* SPDX-License-Identifier: ISC */
/*
 * conf/: any text is refused with words or read; what was read prints as a
 * text that is read again, as the same configuration. The same bytes are also
 * tried as a bundle from a channel.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "conf/print.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *print_conf(const struct conf *conf)
{
	char *text = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&text, &length);

	if (stream == NULL)
		abort();
	conf_print(stream, conf);
	fclose(stream);
	return text;
}

/* Errors are lines, each with the name of the file, all of it printable. */
static void check_errors(char *errors)
{
	size_t length = errors != NULL ? strlen(errors) : 0;

	if (length == 0 || errors[length - 1] != '\n' ||
	    strncmp(errors, "fuzz", 4) != 0)
		abort();
	for (size_t i = 0; i < length; i++)
		if (errors[i] == '\033' || errors[i] == '\r')
			abort();
	mem_free(errors);
}

static void try_text(const char *text)
{
	struct conf *conf, *again;
	struct conf_next_hop next;
	char *errors, *first, *second;

	conf = conf_read("fuzz", text, &errors);
	if (conf == NULL) {
		check_errors(errors);
		return;
	}
	conf_next_hop(conf, "a.example.org", &next);
	conf_next_hop(conf, "[192.0.2.1]", &next);
	conf_destination_find(conf, "example.org");
	first = print_conf(conf);
	again = conf_read("again", first, &errors);
	if (again == NULL) {
		fprintf(stderr, "%s\n%s", first, errors);
		abort();
	}
	second = print_conf(again);
	if (strcmp(first, second) != 0)
		abort();
	free(first);
	free(second);
	conf_free(conf);
	conf_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char host[] = "\nhostname = mx.example.org\n";
	char *text = mem_alloc(size + sizeof(host));
	struct buf out;
	struct bundle *bundle = bundle_decode(data, size);

	if (bundle != NULL) {
		buf_init(&out, size * 2 + 64);
		bundle_encode(bundle, ROLE_SMTPD, &out);
		buf_wipe(&out);
	}
	bundle_free(bundle);
	if (size > 0)
		memcpy(text, data, size);
	/* A zero byte ends the text; bundle_load() would have refused it. */
	try_text(text);
	/* Most inputs fail for want of a host name only. */
	memcpy(text + strlen(text), host, sizeof(host));
	try_text(text);
	mem_free(text);
	return 0;
}
