/* SPDX-License-Identifier: ISC */
/*
 * The options as one table: which commands have them, and what they set. A
 * mistake costs one line, which says what would do.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/control.h"
#include "tools/lab/lab_private.h"

static const char help_text[] =
"usage: postern lab list [--json] [--catalogue ROW]... [NAME|FILE...]\n"
"       postern lab run [--mta NAME|FILE]... [--profile rfc|strict|both]\n"
"                       [--json|--tap|--junit] [--jobs N] [--repeat N]\n"
"                       [--short] [--catalogue ROW]... [--keep DIR|none]\n"
"                       [--record] [NAME|FILE...]\n"
"       postern lab runs [--json]\n"
"       postern lab show [--mta NAME] [--json] [--log] RUN [SCENARIO [STEP]]\n"
"       postern lab random [--seed N] [--first N] [--count N] [--mta NAME]\n"
"                       [--profile rfc|strict] [--jobs N] [--keep DIR]\n"
"                       [--json|--tap] [--print]\n"
"       postern lab shell [--mta NAME|FILE] [--fault FAULT]...\n"
"                       [--profile rfc|strict] [--record DIR] NAME|FILE\n"
"                       [-- COMMAND...]\n"
"       postern lab faults [FAULT...]\n"
"       postern lab catalogue [--json]\n"
"\n"
"  list       the scenarios there are; with names, what each is about\n"
"  run        all of them, or those named, and say how each came out\n"
"  runs       what was kept of the latest runs\n"
"  show       what was seen in one: RUN is a number, `last`, or a directory\n"
"  random     worlds that nobody wrote, by a seed\n"
"  shell      a shell, or a command, inside the world of a scenario\n"
"  faults     from inside: these faults from now on, and no others\n"
"  catalogue  what can befall TLS between mail servers, and what shows it\n"
"\n"
"  --mta NAME       the mail server under test: postern (default), another\n"
"                   driver, or the path of one; the first is judged, others\n"
"                   stand beside it; for shell also none\n"
"  --profile P      correct is what the RFCs say (rfc, the default), or what\n"
"                   somebody wants who sends nothing in clear (strict)\n"
"  --fault F        a fault of the scenario that is in force in the shell\n"
"  --json           one JSON object a scenario, with all that was seen\n"
"  --tap, --junit   Test Anything Protocol 14; JUnit's XML\n"
"  --jobs N         so many at a time; default: the number of processors\n"
"  --repeat N       each so often; what is not always the same is named\n"
"  --short          without the scenarios that take long\n"
"  --catalogue ROW  only scenarios of this row (a pattern, such as 'N-*')\n"
"  --keep DIR       what was seen goes there; none: nowhere; default: a\n"
"                   number below ~/.local/state/postern-lab\n"
"  --record         keep all packets as well\n"
"  --log            show what the mail server wrote, too\n"
"  --data DIR       where scenarios/ and drivers/ are\n"
"\n"
"NAME may be a pattern such as 'dane-*'; with a slash, or ending in .scenario,\n"
"it is a file. See postern-lab(7).\n";

void lab_options_help(void)
{
	fputs(help_text, stdout);
}

int lab_misuse(const char *format, ...)
{
	va_list arguments;

	fputs("postern-lab: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs("; see postern lab --help\n", stderr);
	return CONTROL_USAGE;
}

/* Each letter is known to take() alone. */
static const struct {
	const char	*name;
	int		 letter;
	bool		 has_value;
	unsigned	 verbs;
} options[] = {
	{ "mta", 'm', true, LAB_RUN | LAB_SHELL | LAB_SHOW | LAB_RANDOM },
	{ "fault", 'f', true, LAB_SHELL },
	{ "json", 'j', false, LAB_LIST | LAB_RUN | LAB_SHOW | LAB_RUNS |
	    LAB_CATALOGUE | LAB_RANDOM },
	{ "tap", 't', false, LAB_RUN | LAB_RANDOM },
	{ "junit", 'u', false, LAB_RUN },
	{ "profile", 'p', true, LAB_RUN | LAB_SHELL | LAB_SHOW | LAB_RANDOM },
	{ "jobs", 'n', true, LAB_RUN | LAB_RANDOM },
	{ "repeat", 'r', true, LAB_RUN },
	{ "short", 's', false, LAB_RUN | LAB_LIST },
	{ "catalogue", 'c', true, LAB_RUN | LAB_LIST },
	{ "keep", 'k', true, LAB_RUN | LAB_RANDOM },
	{ "record", 'o', false, LAB_RUN },
	{ "record", 'O', true, LAB_SHELL },
	{ "log", 'l', false, LAB_SHOW },
	{ "seed", 'S', true, LAB_RANDOM },
	{ "first", 'F', true, LAB_RANDOM },
	{ "count", 'C', true, LAB_RANDOM },
	{ "print", 'P', false, LAB_RANDOM },
	{ "data", 'd', true, ~0u },
	{ "help", 'h', false, ~0u },
};

enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

/* --- values --- */

/* -1 when it is no number from least to most. */
static int read_number(const char *word, uint64_t least, uint64_t most,
    uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(word, &end, 10);
	return *word < '0' || *word > '9' || *end != '\0' || errno != 0 ||
	    *number < least || *number > most ? -1 : 0;
}

static int take_count(const char *name, uint64_t least, uint64_t most,
    unsigned *number)
{
	uint64_t value;

	if (read_number(optarg, least, most, &value) == 0) {
		*number = (unsigned)value;
		return 0;
	}
	lab_misuse("%s takes a number from %llu to %llu, not %s", name,
	    (unsigned long long)least, (unsigned long long)most, optarg);
	return -1;
}

static int take_word(struct lab_words *words, const char *name, size_t most)
{
	if (words->count == most) {
		lab_misuse("%s may be given %zu times", name, most);
		return -1;
	}
	words->items[words->count++] = optarg;
	return 0;
}

static int take_profile(struct lab_request *request)
{
	bool both = strcmp(optarg, "both") == 0 &&
	    (request->command->verb & (LAB_RUN | LAB_SHOW)) != 0;

	request->profile_count = both ? 2 : 1;
	request->profiles[0] = LAB_PROFILE_RFC;
	request->profiles[1] = LAB_PROFILE_STRICT;
	if (both || strcmp(optarg, "rfc") == 0)
		return 0;
	request->profiles[0] = LAB_PROFILE_STRICT;
	if (strcmp(optarg, "strict") == 0)
		return 0;
	lab_misuse("--profile takes rfc%s, not %s",
	    request->command->verb & LAB_RUN ? ", strict or both" :
	    " or strict", optarg);
	return -1;
}

static int take_seed(struct lab_request *request)
{
	request->has_seed = true;
	if (read_number(optarg, 0, UINT64_MAX, &request->seed) == 0)
		return 0;
	lab_misuse("--seed takes a number, not %s", optarg);
	return -1;
}

/* --- the table --- */

/* The names that take several words, numbers or a choice. */
static int take_value(struct lab_request *request, int letter)
{
	switch (letter) {
	case 'm':
		return take_word(&request->mtas, "--mta", LAB_MTAS_MAX);
	case 'f':
		return take_word(&request->faults, "--fault", LAB_WORDS_MAX);
	case 'c':
		return take_word(&request->rows, "--catalogue", LAB_WORDS_MAX);
	case 'p':
		return take_profile(request);
	case 'n':
		return take_count("--jobs", 1, LAB_JOBS_MOST, &request->jobs);
	case 'r':
		return take_count("--repeat", 1, LAB_ROUNDS_MOST,
		    &request->rounds);
	case 'S':
		return take_seed(request);
	case 'F':
		return take_count("--first", 0, UINT32_MAX, &request->first);
	default:
		return take_count("--count", 1, UINT32_MAX, &request->count);
	}
}

static int take(struct lab_request *request, int letter)
{
	switch (letter) {
	case 'j': request->format = LAB_JSON; return 0;
	case 't': request->format = LAB_TAP; return 0;
	case 'u': request->format = LAB_JUNIT; return 0;
	case 's': request->is_short = true; return 0;
	case 'o': request->record = true; return 0;
	case 'O': request->record_place = optarg; return 0;
	case 'l': request->log = true; return 0;
	case 'P': request->print = true; return 0;
	case 'k': request->keep = optarg; return 0;
	case 'd': request->data = optarg; return 0;
	case 'h': request->help = true; return 0;
	default: return take_value(request, letter);
	}
}

/* Those of one command, in getopt's form. */
static void make_longs(enum lab_verb verb, struct option *longs)
{
	size_t count = 0;

	for (size_t i = 0; i < OPTIONS; i++)
		if (options[i].verbs & verb)
			longs[count++] = (struct option){ options[i].name,
			    options[i].has_value ? required_argument :
			    no_argument, NULL, options[i].letter };
	longs[count] = (struct option){ 0 };
}

int lab_options_take(struct lab_request *request, int argc, char **argv)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	struct option longs[OPTIONS + 1];
	int letter;

	request->jobs = online > LAB_JOBS_MOST ? LAB_JOBS_MOST :
	    online > 0 ? (unsigned)online : 1;
	request->rounds = 1;
	/* Whatever there is, or the RFCs' alone. */
	request->profile_count = request->command->verb == LAB_SHOW ? 2 : 1;
	request->profiles[1] = LAB_PROFILE_STRICT;
	request->count = 100;
	make_longs(request->command->verb, longs);
	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (letter == ':') {
			lab_misuse("%s: its value is missing",
			    argv[optind - 1]);
			return -1;
		}
		if (letter == '?') {
			lab_misuse("%s is not known here: %s has no such "
			    "option, or not with a value", argv[optind - 1],
			    request->command->name);
			return -1;
		}
		if (take(request, letter) == -1)
			return -1;
	}
	return optind;
}
