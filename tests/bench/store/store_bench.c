/* SPDX-License-Identifier: ISC */
/*
 * store_bench: settles what Berkeley DB does as a mail queue on this machine.
 * See README for the method, the options and the figures. Progress goes to
 * standard error, one JSON object to standard output (or --output).
 */
#include "tests/bench/store/bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

struct options {
	const char	*directory;	/* scratch; a loop mount goes below */
	const char	*output;
	uint64_t	 seconds;	/* of the whole run, about */
	uint64_t	 backlog;
	int		 kills, cuts;
	const char	*only;		/* name of one phase */
	bool		 no_mount;
	uint64_t	 segment;	/* MB, for all phases but the variants */
	bool		 spare;
};

static const char usage[] =
    "usage: store_bench [--directory DIR] [--seconds N] [--backlog N]\n"
    "    [--kills N] [--cuts N] [--output FILE] [--no-mount]\n"
    "    [--segment MB] [--spare-log]\n"
    "    [--only rates|variants|backlog|crash|cuts|faults|space|steady]\n"
    "Needs root for its loop mounts; --no-mount leaves out what needs them.\n";

static void options_read(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{ "directory", required_argument, NULL, 'd' },
		{ "seconds", required_argument, NULL, 's' },
		{ "backlog", required_argument, NULL, 'b' },
		{ "kills", required_argument, NULL, 'k' },
		{ "cuts", required_argument, NULL, 'c' },
		{ "output", required_argument, NULL, 'o' },
		{ "only", required_argument, NULL, 'p' },
		{ "no-mount", no_argument, NULL, 'n' },
		{ "segment", required_argument, NULL, 'g' },
		{ "spare-log", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (letter) {
		case 'd': options->directory = optarg; break;
		case 's': options->seconds = strtoull(optarg, NULL, 10); break;
		case 'b': options->backlog = strtoull(optarg, NULL, 10); break;
		case 'k': options->kills = (int)strtol(optarg, NULL, 10); break;
		case 'c': options->cuts = (int)strtol(optarg, NULL, 10); break;
		case 'o': options->output = optarg; break;
		case 'p': options->only = optarg; break;
		case 'g': options->segment = strtoull(optarg, NULL, 10); break;
		case 'l': options->spare = true; break;
		case 'n': options->no_mount = true; break;
		default:
			fputs(usage, stderr);
			exit(64);
		}
	}
}

static char loop_device[256], disk_image[4096], disk_mount[4096];

/* An ext4 of our own without online discard, as the design's figures had. */
static void disk_make(const char *directory)
{
	snprintf(disk_image, sizeof(disk_image), "%s/disk.img", directory);
	snprintf(disk_mount, sizeof(disk_mount), "%s/disk", directory);
	if (mkdir(disk_mount, 0700) != 0 && errno != EEXIST)
		die(disk_mount, errno);
	command_run((const char *[]){ "truncate", "-s", "26G", disk_image,
	    NULL });
	command_run((const char *[]){ "mkfs.ext4", "-q", "-F", "-E",
	    "nodiscard,lazy_itable_init=0", disk_image, NULL });
	command_read((const char *[]){ "losetup", "-f", "--show", disk_image,
	    NULL }, loop_device, sizeof(loop_device));
	command_run((const char *[]){ "mount", "-o", "noatime", loop_device,
	    disk_mount, NULL });
}

static void disk_remove(void)
{
	command_run((const char *[]){ "umount", disk_mount, NULL });
	command_run((const char *[]){ "losetup", "-d", loop_device, NULL });
	if (unlink(disk_image) != 0 || rmdir(disk_mount) != 0)
		die(disk_image, errno);
}

static bool wanted(const struct options *options, const char *phase)
{
	return options->only == NULL || strcmp(options->only, phase) == 0;
}

static void keep(json_t *all, const struct options *options, const char *name,
    json_t *value)
{
	json_object_set_new(all, name, value);
	if (options->output != NULL)
		json_dump_file(all, options->output, JSON_INDENT(1) |
		    JSON_REAL_PRECISION(6));
}

static json_t *about(const struct settings *settings)
{
	struct utsname machine;
	int major, minor, patch;

	uname(&machine);
	db_version(&major, &minor, &patch);
	return json_pack("{s:s,s:i,s:s,s:i,s:i,s:i,s:f,s:f,s:f}",
	    "kernel", machine.release,
	    "processors", (int)sysconf(_SC_NPROCESSORS_ONLN),
	    "berkeley_db", major == 5 && minor == 3 ? "5.3" : "other",
	    "patch", patch,
	    "page_bytes", (int)settings->page_bytes,
	    "chunk_bytes", (int)settings->chunk_bytes,
	    "cache_MB", (double)settings->cache_bytes / 1048576,
	    "log_file_MB", (double)settings->log_file_bytes / 1048576,
	    "checkpoint_MB", (double)settings->checkpoint_bytes / 1048576);
}

/* How one run's time is shared out; the rest belongs to the steady phase. */
static void run_phases(json_t *all, const struct options *options,
    struct settings *settings)
{
	uint64_t started = now_micro(), spent;
	uint64_t slice = options->seconds / 180 + 1;

	if (wanted(options, "rates"))
		keep(all, options, "rates", phase_rates(settings, slice));
	if (wanted(options, "variants"))
		keep(all, options, "variants",
		    phase_variants(settings, slice));
	home_clear(settings->home);
	if (wanted(options, "crash"))
		keep(all, options, "crash", crash_rounds(settings,
		    options->kills, 0, NULL));
	home_clear(settings->home);
	if (wanted(options, "cuts") && !options->no_mount)
		keep(all, options, "cuts", crash_rounds(settings,
		    options->cuts, 0, loop_device));
	if (wanted(options, "faults"))
		keep(all, options, "faults", fault_rounds(settings));
	if (wanted(options, "space") && !options->no_mount)
		keep(all, options, "space", space_round(settings,
		    options->directory));
	if (wanted(options, "backlog"))
		keep(all, options, "backlog", phase_backlog(settings,
		    options->backlog, options->seconds / 4 + 5));
	spent = (now_micro() - started) / 1000000;
	if (wanted(options, "steady"))
		keep(all, options, "steady", phase_steady(settings,
		    spent + 10 < options->seconds ? options->seconds - spent :
		    10));
	home_clear(settings->home);
}

int main(int argc, char **argv)
{
	struct options options = { .directory = "/tmp/store_bench",
	    .seconds = 1800, .backlog = 1000000, .kills = 40, .cuts = 20 };
	struct settings settings = { .page_bytes = 4096, .chunk_bytes = 4056,
	    .cache_bytes = 96 << 20, .log_file_bytes = 32 << 20,
	    .checkpoint_bytes = 64 << 20, .commit_flag = DB_TXN_NOSYNC };
	char home[4096];
	json_t *all = json_object();

	options_read(&options, argc, argv);
	settings.segment_bytes = options.segment << 20;
	settings.spare_log = options.spare;
	signal(SIGPIPE, SIG_IGN);
	if (mkdir(options.directory, 0700) != 0 && errno != EEXIST)
		die(options.directory, errno);
	message_setup();
	fault_install();
	if (options.no_mount) {
		snprintf(home, sizeof(home), "%s/store", options.directory);
	} else {
		disk_make(options.directory);
		snprintf(home, sizeof(home), "%s/disk/store",
		    options.directory);
	}
	settings.home = home;
	if (mkdir(home, 0700) != 0 && errno != EEXIST)
		die(home, errno);
	json_object_set_new(all, "about", about(&settings));
	run_phases(all, &options, &settings);
	rmdir(home);
	if (!options.no_mount)
		disk_remove();
	json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	putchar('\n');
	return 0;
}
