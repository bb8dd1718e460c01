/* SPDX-License-Identifier: ISC */
/*
 * getopt(3) stops at the first operand ("+"): a recipient that begins with a
 * dash behind one cannot become an option.
 */
#include "tools/sendmail_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* -d and -q have their values attached to them, or none. */
static const char letters[] =
    "+:A:B:C:F:GIL:N:O:R:UV:X:b:cd::e:f:h:imno:p:q::r:tv";

static const char *base_name(const char *program)
{
	const char *slash = strrchr(program, '/');

	return slash == NULL ? program : slash + 1;
}

bool sendmail_is_name(const char *program)
{
	const char *name = base_name(program);

	return strcmp(name, "sendmail") == 0 || strcmp(name, "mailq") == 0 ||
	    strcmp(name, "newaliases") == 0;
}

static int wrong(char *problem, const char *option, const char *value,
    const char *accepted)
{
	snprintf(problem, SENDMAIL_PROBLEM, "%s %.60s: %s", option, value,
	    accepted);
	return -1;
}

static int read_mode(struct sendmail_options *options, const char *value,
    char *problem)
{
	static const struct {
		const char		*letter;
		enum sendmail_mode	 mode;
	} modes[] = {
		{ "m", SENDMAIL_DELIVER }, { "s", SENDMAIL_SMTP },
		{ "p", SENDMAIL_LIST }, { "i", SENDMAIL_ALIASES },
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].letter, value) == 0) {
			options->mode = modes[i].mode;
			return 0;
		}
	if (strcmp(value, "d") == 0 || strcmp(value, "D") == 0)
		return wrong(problem, "-b", value, "the server is started by "
		    "\"postern run\" (its unit: postern.service)");
	return wrong(problem, "-b", value, "accepted: -bm, -bs, -bp, -bi");
}

static int read_body(struct sendmail_options *options, const char *value,
    char *problem)
{
	options->eight_bit = strcasecmp(value, "8BITMIME") == 0;
	if (options->eight_bit || strcasecmp(value, "7BIT") == 0)
		return 0;
	return wrong(problem, "-B", value, "accepted: 7BIT, 8BITMIME");
}

static int read_ret(struct sendmail_options *options, const char *value,
    char *problem)
{
	options->ret = strcasecmp(value, "full") == 0 ? "FULL" : "HDRS";
	if (strcasecmp(value, "full") == 0 || strcasecmp(value, "hdrs") == 0)
		return 0;
	return wrong(problem, "-R", value, "accepted: full, hdrs");
}

static const char *const notify_kinds[] = { "SUCCESS", "FAILURE", "DELAY",
    "NEVER" };
enum { NOTIFY_KINDS = 4, NOTIFY_NEVER = 1 << 3 };

/* One bit for the kind that begins at value and is length long; 0: none. */
static unsigned notify_kind(const char *value, size_t length)
{
	for (unsigned i = 0; i < NOTIFY_KINDS; i++)
		if (strlen(notify_kinds[i]) == length &&
		    strncasecmp(notify_kinds[i], value, length) == 0)
			return 1u << i;
	return 0;
}

/* RFC 3461 4.1: NEVER alone, or a list of the others; 0 if it is neither. */
static unsigned notify_kinds_of(const char *value)
{
	unsigned seen = 0, kind;
	size_t length;

	for (;; value += length + 1) {
		length = strcspn(value, ",");
		kind = notify_kind(value, length);
		if (kind == 0)
			return 0;
		seen |= kind;
		if (value[length] == '\0')
			break;
	}
	return seen & NOTIFY_NEVER && seen != NOTIFY_NEVER ? 0 : seen;
}

static int read_notify(struct sendmail_options *options, const char *value,
    char *problem)
{
	static char list[40];
	unsigned kinds = notify_kinds_of(value);
	int length = 0;

	if (kinds == 0)
		return wrong(problem, "-N", value, "accepted: never, or some "
		    "of success, failure, delay with commas between them");
	for (unsigned i = 0; i < NOTIFY_KINDS; i++)
		if (kinds & 1u << i)
			length += snprintf(list + length,
			    sizeof(list) - (size_t)length, "%s%s",
			    length > 0 ? "," : "", notify_kinds[i]);
	options->notify = list;
	return 0;
}

/* RFC 3461 4.4: 100 bytes of xtext at most, of what can be printed. */
static int read_envid(struct sendmail_options *options, const char *value,
    char *problem)
{
	size_t xtext = 0;

	for (size_t i = 0; value[i] != '\0'; i++) {
		if (value[i] < ' ' || value[i] > '~')
			return wrong(problem, "-V", "", "printable ASCII is "
			    "wanted");
		xtext += value[i] == '+' || value[i] == '=' ||
		    value[i] == ' ' ? 3 : 1;
	}
	if (xtext == 0 || xtext > 100)
		return wrong(problem, "-V", "", "1 to 100 characters are "
		    "wanted");
	options->envid = value;
	return 0;
}

/* Of the many, two matter to us. */
static void read_old(struct sendmail_options *options, const char *value)
{
	if (value == NULL)
		return;
	if (strcmp(value, "i") == 0)
		options->dots = true;
	else if (strcasecmp(value, "IgnoreDots=true") == 0 ||
	    strcasecmp(value, "IgnoreDots") == 0)
		options->dots = true;
}

static int read_flush(struct sendmail_options *options, const char *value,
    char *problem)
{
	if (value != NULL)
		return wrong(problem, "-q", value, "the running server tries "
		    "mail by itself; -q alone asks it to try all now");
	options->mode = SENDMAIL_FLUSH;
	return 0;
}

static int read_letter(struct sendmail_options *options, int letter,
    char *problem)
{
	switch (letter) {
	case 'B': return read_body(options, optarg, problem);
	case 'C': options->configuration = optarg; return 0;
	case 'F': options->full_name = optarg; return 0;
	case 'I': options->mode = SENDMAIL_ALIASES; return 0;
	case 'N': return read_notify(options, optarg, problem);
	case 'O': read_old(options, optarg); return 0;
	case 'R': return read_ret(options, optarg, problem);
	case 'V': return read_envid(options, optarg, problem);
	case 'b': return read_mode(options, optarg, problem);
	case 'f': options->sender = optarg; return 0;
	case 'i': options->dots = true; return 0;
	case 'o': read_old(options, optarg); return 0;
	case 'q': return read_flush(options, optarg, problem);
	case 'r': options->sender = optarg; return 0;
	case 't': options->from_header = true; return 0;
	case 'v': options->verbose = true; return 0;
	case ':':
		snprintf(problem, SENDMAIL_PROBLEM, "-%c has no value", optopt);
		return -1;
	case '?':
		snprintf(problem, SENDMAIL_PROBLEM, "-%c is no option", optopt);
		return -1;
	default: return 0;	/* read and forgotten */
	}
}

int sendmail_options_read(struct sendmail_options *options, int argc,
    char **argv, char *problem)
{
	static const char drained[] = "--drained=";
	const char *name = base_name(argv[0]);
	int letter;

	memset(options, 0, sizeof(*options));
	if (strcmp(name, "mailq") == 0)
		options->mode = SENDMAIL_LIST;
	else if (strcmp(name, "newaliases") == 0)
		options->mode = SENDMAIL_ALIASES;
	if (argc == 2 && strncmp(argv[1], drained, strlen(drained)) == 0) {
		options->mode = SENDMAIL_DRAINED;
		options->socket = argv[1] + strlen(drained);
		options->operands = argv + 2;
		return 0;
	}
	optind = 0;	/* and "+" is heeded anew */
	opterr = 0;
	while ((letter = getopt(argc, argv, letters)) != -1)
		if (read_letter(options, letter, problem) == -1)
			return -1;
	options->operands = argv + optind;
	return 0;
}
