/* SPDX-License-Identifier: ISC */
/*
 * Time, histograms and sizes on disk.
 */
#include "tests/bench/store/bench.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void die(const char *what, int error)
{
	fprintf(stderr, "store_bench[%d]: %s: %s\n", (int)getpid(), what,
	    error != 0 ? db_strerror(error) : "failed");
	_exit(EXIT_SOFTWARE);
}

uint64_t now_micro(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t cpu_micro(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) *
	    1000000 + (uint64_t)(usage.ru_utime.tv_usec +
	    usage.ru_stime.tv_usec);
}

/* Sixteen buckets for each power of two: an error of at most 6 %. */
static int bucket_of(uint64_t micro)
{
	int power;

	if (micro < 16)
		return (int)micro;
	power = 63 - __builtin_clzll(micro);
	return (power - 3) * 16 + (int)((micro >> (power - 4)) & 15);
}

static uint64_t bucket_value(int bucket)
{
	int power = bucket / 16 + 3;

	if (bucket < 16)
		return (uint64_t)bucket;
	return (UINT64_C(16) + (uint64_t)(bucket % 16)) << (power - 4);
}

void histogram_add(struct histogram *histogram, uint64_t micro)
{
	histogram->counts[bucket_of(micro)]++;
	histogram->total++;
	if (micro > histogram->max)
		histogram->max = micro;
}

uint64_t histogram_at(const struct histogram *histogram, double share)
{
	uint64_t seen = 0;
	uint64_t want = (uint64_t)((double)histogram->total * share);

	for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen > want)
			return bucket_value(i);
	}
	return histogram->max;
}

json_t *histogram_json(const struct histogram *histogram)
{
	return json_pack("{s:f,s:f,s:f,s:f,s:I}",
	    "p50", (double)histogram_at(histogram, 0.5) / 1000,
	    "p99", (double)histogram_at(histogram, 0.99) / 1000,
	    "p999", (double)histogram_at(histogram, 0.999) / 1000,
	    "max", (double)histogram->max / 1000,
	    "count", (json_int_t)histogram->total);
}

/* Bytes allocated to the files of a directory whose names start so. */
uint64_t directory_bytes(const char *path, const char *prefix)
{
	char name[4096];
	struct dirent *entry;
	struct stat about;
	uint64_t sum = 0;
	DIR *directory = opendir(path);

	if (directory == NULL)
		return 0;
	while ((entry = readdir(directory)) != NULL) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (stat(name, &about) == 0 && S_ISREG(about.st_mode))
			sum += (uint64_t)about.st_blocks * 512;
	}
	closedir(directory);
	return sum;
}
