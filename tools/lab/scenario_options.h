/* SPDX-License-Identifier: ISC */
/*
 * The options of scenario files as data: one table for the reader, for the
 * defaults, and for lab_world_with(), which copies those that a fault gives.
 * The title of each section of a world is its first member.
 */
#ifndef POSTERN_TOOLS_LAB_SCENARIO_OPTIONS_H
#define POSTERN_TOOLS_LAB_SCENARIO_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lab_section { LAB_SECTION_ZONE, LAB_SECTION_CERTIFICATE, LAB_SECTION_HOST,
    LAB_SECTION_POLICY, LAB_SECTION_TOP, LAB_SECTION_SENDER,
    LAB_SECTION_RECEIVER, LAB_SECTION_STEP, LAB_SECTION_COUNT };

enum { LAB_KINDS = LAB_SECTION_TOP };	/* those that a world is made of */

enum lab_option_type { LAB_OPTION_TEXT,
    LAB_OPTION_PROSE,		/* a list joined by spaces */
    LAB_OPTION_LINES,		/* a list joined, CRLF after each */
    LAB_OPTION_TEXTS, LAB_OPTION_NUMBER, LAB_OPTION_BOOL,
    LAB_OPTION_CHOICE };

struct lab_option {
	enum lab_section	 section;
	enum lab_option_type	 type;
	const char		*name;
	size_t			 offset;
	const char		*fallback;	/* null: must be given */
	const char *const	*choices;	/* in the order of the enum */
	int64_t			 least, most;	/* of a number */
};

extern const struct lab_option	 lab_options[];
extern const size_t		 lab_option_count;

/* Where a kind of section is in struct lab_world. */
struct lab_kind {
	const char	*name;
	size_t		 size;		/* of one */
	size_t		 items;		/* offset of the array */
	size_t		 count;		/* offset of its length */
};

extern const struct lab_kind	 lab_kinds[LAB_KINDS];

/* Which options a section of a fault gives: bit N is the Nth option of its
 * kind in lab_options[]. One array a kind, as long as that of the world. */
struct lab_given {
	uint32_t	*masks[LAB_KINDS];
};

/* Words that texts may hold; each list ends with null. */
extern const char *const	 lab_outcome_words[];
extern const char *const	 lab_answer_words[];
extern const char *const	 lab_stage_words[];
extern const char *const	 lab_action_words[];
extern const char *const	 lab_path_words[];
extern const char *const	 lab_policy_fault_words[];
extern const char *const	 lab_version_words[];	/* of TLS */
extern const char *const	 lab_service_words[];
extern const char *const	 lab_report_words[];	/* RFC 8460 4.3 */
extern const char *const	 lab_report_policy_words[];

/* The index of word in a list, or -1. */
int	 lab_word_index(const char *const *words, const char *word,
	    size_t length);

#endif
