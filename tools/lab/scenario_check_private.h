/* SPDX-License-Identifier: ISC */
/*
 * What the files of the check share: scenario_check.c knows which worlds there
 * are, scenario_check_world.c looks at one, scenario_check_step.c at steps,
 * sender and receiver.
 */
#ifndef POSTERN_TOOLS_LAB_SCENARIO_CHECK_PRIVATE_H
#define POSTERN_TOOLS_LAB_SCENARIO_CHECK_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/problem.h"
#include "tools/lab/scenario_check.h"

enum { LAB_WORDS_MAX = 12, LAB_LIST_MAX = 400 };

struct lab_words {
	const char	*at[LAB_WORDS_MAX];
	size_t		 length[LAB_WORDS_MAX];
	size_t		 count;		/* may be more than there are */
};

/* A problem, with the line of a text of the scenario. */
#define lab_wrong(checker, text, ...) problems_add((checker)->problems, \
    (checker)->line_of((checker)->arg, text), __VA_ARGS__)

void	 lab_words_split(const char *text, struct lab_words *words);
bool	 lab_words_equal(const struct lab_words *words, size_t index,
	    const char *word);
/* "close, reset, stall", in out of LAB_LIST_MAX bytes. */
const char	*lab_words_list(const char *const *words, char *out);
/* One word of a list, or said to be wrong. */
void	 lab_check_word(const struct lab_checker *checker, const char *text,
	    const char *const *accepted, const char *what);
/* named: the name in text, whose line is known. */
void	 lab_check_certificate(const struct lab_checker *checker,
	    const struct lab_world *world, const char *text,
	    const char *named);

void	 lab_check_world(const struct lab_checker *checker,
	    const struct lab_world *world);
void	 lab_check_steps(const struct lab_checker *checker);

#endif
