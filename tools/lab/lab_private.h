/* SPDX-License-Identifier: ISC */
/*
 * What the user asked for, as the commands of postern-lab get it. A command
 * takes the words behind the options and returns the exit status.
 */
#ifndef POSTERN_TOOLS_LAB_LAB_PRIVATE_H
#define POSTERN_TOOLS_LAB_LAB_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/lab/driver.h"
#include "tools/lab/report.h"
#include "tools/lab/scenario.h"

enum { LAB_MTAS_MAX = 8, LAB_WORDS_MAX = 16, LAB_JOBS_MOST = 64,
    LAB_ROUNDS_MOST = 1000 };

/* Words that an option brings each time it is given; borrowed. */
struct lab_words {
	char	*items[LAB_WORDS_MAX];
	size_t	 count;
};

struct lab_request {
	const struct lab_command *command;
	struct lab_places	 places;
	struct lab_words	 mtas, faults, rows;
	struct lab_driver	 drivers[LAB_MTAS_MAX];
	size_t			 driver_count;
	struct lab_scenario	**scenarios;	/* owned */
	size_t			 scenario_count;
	enum lab_format		 format;
	enum lab_profile	 profiles[2];
	size_t			 profile_count;
	unsigned		 jobs, rounds;
	bool			 is_short, record, log, help;
	/* borrowed words; null: not given */
	const char		*data, *keep, *record_place;
	/* of `random` */
	bool			 has_seed, print;
	uint64_t		 seed;
	unsigned		 first, count;
};

/* Bits, for the table of options. */
enum lab_verb { LAB_LIST = 1, LAB_RUN = 2, LAB_SHELL = 4, LAB_FAULTS = 8,
    LAB_SHOW = 16, LAB_RUNS = 32, LAB_CATALOGUE = 64, LAB_RANDOM = 128 };

struct lab_command {
	const char	*name;
	enum lab_verb	 verb;
	int		(*run)(struct lab_request *request, int count,
			    char **names);
	/* What it does with MTAs: finds their drivers, or one that may be
	 * "none", or nothing. */
	enum { LAB_MTA_UNUSED, LAB_MTA_OPTIONAL, LAB_MTA_NEEDED } mta;
};

int	 lab_command_list(struct lab_request *request, int count,
	    char **names);
int	 lab_command_run(struct lab_request *request, int count, char **names);
int	 lab_command_shell(struct lab_request *request, int count,
	    char **names);
int	 lab_command_faults(struct lab_request *request, int count,
	    char **names);
int	 lab_command_show(struct lab_request *request, int count,
	    char **names);
int	 lab_command_runs(struct lab_request *request, int count,
	    char **names);
int	 lab_command_catalogue(struct lab_request *request, int count,
	    char **names);
int	 lab_command_random(struct lab_request *request, int count,
	    char **names);

/* Takes the options out of the words: the index of the first that is none, or
 * -1 when something is wrong, which has been said. */
int	 lab_options_take(struct lab_request *request, int argc, char **argv);
void	 lab_options_help(void);
/* A line on descriptor 2; CONTROL_USAGE. */
int	 lab_misuse(const char *format, ...)
	    __attribute__((format(printf, 1, 2)));

void	 lab_places_find(struct lab_places *places, const char *data);
void	 lab_places_release(struct lab_places *places);

/* The scenarios of these names, patterns and files (none: all), of the rows
 * that were asked for. -1 when one cannot be had, which has been said. */
int	 lab_select(struct lab_request *request, int count, char **names);

#endif
