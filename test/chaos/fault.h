/* fault.h - the faults: each is done, held for a while, and healed, unless that
 * is to start what has ended. */
#ifndef FAULT_H
#define FAULT_H

#include "chaos.h"

/* X(what it is called, function) */
#define FAULTS(X)                                 \
	X("kill-leader", fault_kill_leader)       \
	X("kill-follower", fault_kill_follower)   \
	X("away", fault_away)                     \
	X("kill-majority", fault_kill_majority)   \
	X("kill-all", fault_kill_all)             \
	X("pause-leader", fault_pause_leader)     \
	X("pause-follower", fault_pause_follower) \
	X("pause-all", fault_pause_all)           \
	X("unheard-leader", fault_unheard_leader) \
	X("deaf-leader", fault_deaf_leader)       \
	X("cut-off-leader", fault_cut_off_leader) \
	X("bridge", fault_bridge)                 \
	X("nobody-hears", fault_nobody_hears)     \
	X("link-down", fault_link_down)           \
	X("loss", fault_loss)                     \
	X("resets", fault_resets)                 \
	X("delay", fault_delay)                   \
	X("transfer", fault_transfer)             \
	X("churn", fault_churn)                   \
	X("power-one", fault_power_one)           \
	X("power-all", fault_power_all)           \
	X("slow-sync", fault_slow_sync)           \
	X("sync-fails", fault_sync_fails)         \
	X("write-fails", fault_write_fails)       \
	X("disk-full", fault_disk_full)           \
	X("read-only", fault_read_only)           \
	X("flip-stopped", fault_flip_stopped)     \
	X("flip-running", fault_flip_running)     \
	X("flip-snapshot", fault_flip_snapshot)   \
	X("flip-anywhere", fault_flip_anywhere)

/* Only by their names: the run has to fail. */
#define FAULTS_PLANTED(X)                   \
	X("lying-disks", fault_lying_disks) \
	X("lying-wal", fault_lying_wal)

#define FAULT_DECLARE(name, fn) void fn(struct chaos *c);
FAULTS(FAULT_DECLARE)
FAULTS_PLANTED(FAULT_DECLARE)

enum { FAULT_WAIT_MS = 60000 }; /* for anything, on a busy machine */

/* Those who run. */
struct site *fault_leader(struct chaos *c);
struct site *fault_follower(struct chaos *c);
struct site *fault_anyone(struct chaos *c);

int64_t fault_ms(struct chaos *c); /* how long to hold one, by chance */
void fault_hold(struct chaos *c);

struct fault_target {
	int64_t writes, index;
	int id;
	bool asked, reached;
};

/* For turn_until(): whether node id, which is asked again and again, has
 * applied index; and whether there are so many writes. */
turn_fn fault_has_applied;
turn_fn fault_has_progressed;

#endif
