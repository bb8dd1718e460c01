/* SPDX-License-Identifier: ISC */
/*
 * Names of other scripts in a configuration: "bücher.example" stands for
 * "xn--bcher-kva.example" wherever a domain or host is named. After this,
 * everything else sees A-labels only (DANE-57, DANE-113, STS-21).
 */
#ifndef POSTERN_CONF_NAMES_H
#define POSTERN_CONF_NAMES_H

struct conf;
struct problems;
struct settings;

/* Names that are not ASCII are replaced, those that cannot be are told with
 * their lines. What is ASCII stays as it is: the checks judge it. */
void	 names_convert(struct conf *conf, const struct settings *settings,
	    struct problems *problems);

#endif
