/* rpc.h - every call that one program can make of another, in one table.
 *
 * The server dispatches on the path, the client sends to it; dialects differ
 * in framing only. protobuf-c's descriptors lose which side streams, so the
 * table says it. */
#ifndef WIRE_RPC_H
#define WIRE_RPC_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"

enum rpc_kind {
	RPC_UNARY,
	RPC_SERVER_STREAM, /* one message in, many out */
	RPC_CLIENT_STREAM, /* many in, one out */
	RPC_BIDI,          /* many in, many out, in any order */
};

/* On which of a peer's connections a call travels, so that tensors never
 * delay a heartbeat. */
enum rpc_channel {
	RPC_CONTROL,
	RPC_BULK,
};

/* Who may call it: whoever reaches us, or, since it changes something or gives
 * models away, members alone (peer_check() in peer.h). */
enum rpc_guard {
	RPC_OPEN,
	RPC_GUARDED,
};

/* A header of this name marks a call as forwarded by a node. */
#define RPC_FORWARDED "gfl-forwarded"

/* What may not be made twice has an id of 128 random bits, as 32 lower-case
 * hex digits: for 60 s after the answer the server gives a repetition of it
 * the same answer, and joins it to the first while that is under way. The
 * client appends RPC_REPEATED when it asks again after it lost the connection:
 * a server that does not know the id then carries out nothing, since another
 * process in its place may have, and says UNKNOWN. */
#define RPC_REQUEST_ID "gfl-request-id"
#define RPC_REPEATED "; repeated"

struct rpc_method {
	const char *path; /* "/gfl.v1.NodeService/GetStatus" */
	const ProtobufCMessageDescriptor *in, *out;
	enum rpc_kind kind;
	enum rpc_channel channel;
	bool again; /* see below */
	enum rpc_guard guard;
};

/* again: as our clients make it, the same call twice has the effect of one,
 * even if others came in between; at worst the second is told that there is
 * nothing left to do. So it holds for what is named by
 *	instance  RegisterNode, Join, Leave, AttachTrainer, DetachTrainer, SetUp,
 *	          Report (which counts a miss twice then: a hint)
 *	term      UpdateLeader, Step
 *	session   Propose, StartRun, StopRun
 *	number    ConfirmBootstrap, Exchange, SendMessage, ReceiveMessages, Ask,
 *	          Update, Evaluated, SubmitResult, SubmitTasks, CancelTasks
 *	holding   RequestTask (who asks again names what it has of the first)
 * A foreign client may leave those out, and then has to know itself. Removing
 * whoever has an id, and moving the lead, may undo what came in between: they
 * have request ids. */

/* X(NAME, path, C type of request, of response, kind, channel, again, guard);
 * the types as protoc-c's lower-case prefixes. */
#define RPC_GATEWAY_METHODS(X)                                                 \
	X(GATEWAY_REGISTER_NODE, "/GatewayService/RegisterNode",               \
	  register_node_request, register_node_response, UNARY, CONTROL, true, \
	  GUARDED)                                                             \
	X(GATEWAY_GET_NODES, "/GatewayService/GetNodes", get_nodes_request,    \
	  get_nodes_response, UNARY, CONTROL, true, OPEN)                      \
	X(GATEWAY_GET_LEADER, "/GatewayService/GetLeader", get_leader_request, \
	  get_leader_response, UNARY, CONTROL, true, OPEN)                     \
	X(GATEWAY_UPDATE_LEADER, "/GatewayService/UpdateLeader",               \
	  update_leader_request, update_leader_response, UNARY, CONTROL, true, \
	  GUARDED)                                                             \
	X(GATEWAY_HEARTBEAT, "/GatewayService/Heartbeat", heartbeat_request,   \
	  heartbeat_response, UNARY, CONTROL, true, GUARDED)                   \
	X(GATEWAY_HEALTH_CHECK, "/GatewayService/HealthCheck",                 \
	  health_check_request, health_check_response, UNARY, CONTROL, true,   \
	  OPEN)                                                                \
	X(GATEWAY_REMOVE_NODE, "/GatewayService/RemoveNode",                   \
	  remove_node_request, remove_node_response, UNARY, CONTROL, false,    \
	  GUARDED)                                                             \
	X(GATEWAY_GET_STATS, "/GatewayService/GetStats", get_stats_request,    \
	  get_stats_response, UNARY, CONTROL, true, OPEN)                      \
	X(GATEWAY_CONFIRM_BOOTSTRAP, "/GatewayService/ConfirmBootstrap",       \
	  confirm_bootstrap_request, confirm_bootstrap_response, UNARY,        \
	  CONTROL, true, GUARDED)                                              \
	X(GATEWAY_WATCH_NODES, "/GatewayService/WatchNodes",                   \
	  watch_nodes_request, node_event, SERVER_STREAM, CONTROL, true, OPEN)

#define RPC_RAFT_METHODS(X)                                                  \
	X(RAFT_STEP, "/gfl.v1.RaftService/Step", gfl__v1__raft_step_request, \
	  gfl__v1__raft_step_response, BIDI, CONTROL, true, GUARDED)

#define RPC_NODE_METHODS(X)                                                    \
	X(NODE_GET_STATUS, "/gfl.v1.NodeService/GetStatus",                    \
	  gfl__v1__node_status_request, gfl__v1__node_status, UNARY, CONTROL,  \
	  true, OPEN)                                                          \
	X(NODE_GET_STATE, "/gfl.v1.NodeService/GetState",                      \
	  gfl__v1__get_state_request, gfl__v1__state, UNARY, CONTROL, true,    \
	  OPEN)                                                                \
	X(NODE_WATCH_STATE, "/gfl.v1.NodeService/WatchState",                  \
	  gfl__v1__watch_state_request, gfl__v1__watch_state_event,            \
	  SERVER_STREAM, CONTROL, true, OPEN)                                  \
	X(NODE_READ_LOG, "/gfl.v1.NodeService/ReadLog",                        \
	  gfl__v1__read_log_request, gfl__v1__log_entry, SERVER_STREAM,        \
	  CONTROL, true, OPEN)                                                 \
	X(NODE_READ_INDEX, "/gfl.v1.NodeService/ReadIndex",                    \
	  gfl__v1__read_index_request, gfl__v1__read_index_response, UNARY,    \
	  CONTROL, true, OPEN)                                                 \
	X(NODE_VERIFY_LOG, "/gfl.v1.NodeService/VerifyLog",                    \
	  gfl__v1__verify_log_request, gfl__v1__verify_log_response, UNARY,    \
	  CONTROL, true, GUARDED)                                              \
	X(NODE_COMPACT_LOG, "/gfl.v1.NodeService/CompactLog",                  \
	  gfl__v1__compact_log_request, gfl__v1__compact_log_response, UNARY,  \
	  CONTROL, true, GUARDED)                                              \
	X(NODE_JOIN, "/gfl.v1.NodeService/Join", gfl__v1__join_request,        \
	  gfl__v1__join_response, UNARY, CONTROL, true, GUARDED)               \
	X(NODE_LEAVE, "/gfl.v1.NodeService/Leave", gfl__v1__leave_request,     \
	  gfl__v1__leave_response, UNARY, CONTROL, true, GUARDED)              \
	X(NODE_TRANSFER, "/gfl.v1.NodeService/Transfer",                       \
	  gfl__v1__transfer_request, gfl__v1__transfer_response, UNARY,        \
	  CONTROL, false, GUARDED)                                             \
	X(NODE_PROPOSE, "/gfl.v1.NodeService/Propose",                         \
	  gfl__v1__propose_request, gfl__v1__propose_response, UNARY, CONTROL, \
	  true, GUARDED)                                                       \
	X(NODE_ATTACH_TRAINER, "/gfl.v1.NodeService/AttachTrainer",            \
	  gfl__v1__attach_trainer_request, gfl__v1__attach_trainer_response,   \
	  UNARY, CONTROL, true, GUARDED)                                       \
	X(NODE_DETACH_TRAINER, "/gfl.v1.NodeService/DetachTrainer",            \
	  gfl__v1__detach_trainer_request, gfl__v1__detach_trainer_response,   \
	  UNARY, CONTROL, true, GUARDED)                                       \
	X(NODE_REPORT, "/gfl.v1.NodeService/Report", gfl__v1__report_request,  \
	  gfl__v1__report_response, UNARY, CONTROL, true, GUARDED)             \
	X(NODE_START_RUN, "/gfl.v1.NodeService/StartRun",                      \
	  gfl__v1__start_run_request, gfl__v1__start_run_response, UNARY,      \
	  CONTROL, true, GUARDED)                                              \
	X(NODE_STOP_RUN, "/gfl.v1.NodeService/StopRun",                        \
	  gfl__v1__stop_run_request, gfl__v1__stop_run_response, UNARY,        \
	  CONTROL, true, GUARDED)                                              \
	X(NODE_LIST_RUNS, "/gfl.v1.NodeService/ListRuns",                      \
	  gfl__v1__list_runs_request, gfl__v1__list_runs_response, UNARY,      \
	  CONTROL, true, OPEN)                                                 \
	X(NODE_SHOW_RUN, "/gfl.v1.NodeService/ShowRun",                        \
	  gfl__v1__show_run_request, gfl__v1__run, UNARY, CONTROL, true, OPEN) \
	X(NODE_SEND_MESSAGE, "/gfl.v1.NodeService/SendMessage",                \
	  gfl__v1__send_message_request, gfl__v1__send_message_response,       \
	  UNARY, CONTROL, true, GUARDED)                                       \
	X(NODE_SEND_MESSAGES, "/gfl.v1.NodeService/SendMessages",              \
	  gfl__v1__send_messages_request, gfl__v1__send_messages_response,     \
	  UNARY, CONTROL, true, GUARDED)                                       \
	X(NODE_WAIT_TAKEN, "/gfl.v1.NodeService/WaitTaken",                    \
	  gfl__v1__wait_taken_request, gfl__v1__wait_taken_response, UNARY,    \
	  CONTROL, true, GUARDED)                                              \
	X(NODE_RECEIVE_MESSAGES, "/gfl.v1.NodeService/ReceiveMessages",        \
	  gfl__v1__receive_messages_request,                                   \
	  gfl__v1__receive_messages_response, UNARY, CONTROL, true, GUARDED)

#define RPC_TRAINER_METHODS(X)                                                \
	X(TRAINER_EXCHANGE, "/gfl.v1.TrainerService/Exchange",                \
	  gfl__v1__exchange_request, gfl__v1__exchange_response, UNARY, BULK, \
	  true, GUARDED)                                                      \
	X(TRAINER_PULL_MODEL, "/gfl.v1.TrainerService/PullModel",             \
	  gfl__v1__pull_model_request, gfl__v1__tensor_chunk, SERVER_STREAM,   \
	  BULK, true, GUARDED)                                                \
	X(TRAINER_PROBE, "/gfl.v1.TrainerService/Probe",                      \
	  gfl__v1__probe_request, gfl__v1__probe_response, UNARY, BULK, true, \
	  GUARDED)                                                            \
	X(TRAINER_GET_STATUS, "/gfl.v1.TrainerService/GetStatus",             \
	  gfl__v1__trainer_status_request, gfl__v1__trainer_status, UNARY,    \
	  CONTROL, true, OPEN)                                                \
	X(TRAINER_GET_HISTORY, "/gfl.v1.TrainerService/GetHistory",           \
	  gfl__v1__history_request, gfl__v1__history_row, SERVER_STREAM,      \
	  CONTROL, true, OPEN)

#define RPC_COMM_METHODS(X)                                                    \
	X(COMM_SEND_MESSAGE, "/gRPCCommManager/sendMessage", comm_request,     \
	  comm_response, UNARY, CONTROL, false, GUARDED)                       \
	X(COMM_RECEIVE_MESSAGE, "/gRPCCommManager/handleReceiveMessage",       \
	  comm_request, comm_response, UNARY, CONTROL, false, GUARDED)

#define RPC_PARTICIPANT_METHODS(X)                                            \
	X(PARTICIPANT_CONNECT, "/ParticipantManager/Connect",                 \
	  participant_message, coordinator_message, BIDI, BULK, false,        \
	  GUARDED)                                                            \
	X(PARTICIPANT_ASK, "/gfl.v1.ParticipantService/Ask",                  \
	  gfl__v1__ask_request, gfl__v1__ask_response, UNARY, BULK, true,     \
	  GUARDED)                                                            \
	X(PARTICIPANT_LIST, "/gfl.v1.ParticipantService/ListParticipants",    \
	  gfl__v1__list_participants_request,                                 \
	  gfl__v1__list_participants_response, UNARY, CONTROL, true, OPEN)

#define RPC_FL_METHODS(X)                                                      \
	X(FL_SET_UP, "/gfl.v1.FlService/SetUp", gfl__v1__fl_set_up_request,    \
	  gfl__v1__fl_set_up_response, UNARY, CONTROL, true, GUARDED)          \
	X(FL_AWAIT, "/gfl.v1.FlService/Await", gfl__v1__fl_await_request,      \
	  gfl__v1__fl_instruction, UNARY, CONTROL, true, GUARDED)              \
	X(FL_PULL_MODEL, "/gfl.v1.FlService/PullModel",                        \
	  gfl__v1__fl_pull_request, gfl__v1__tensor_chunk, SERVER_STREAM,      \
	  BULK, true, GUARDED)                                                 \
	X(FL_UPDATE, "/gfl.v1.FlService/Update", gfl__v1__fl_update_request,   \
	  gfl__v1__fl_update_response, UNARY, BULK, true, GUARDED)             \
	X(FL_LEAVE, "/gfl.v1.FlService/Leave", gfl__v1__fl_leave_request,      \
	  gfl__v1__fl_leave_response, UNARY, CONTROL, true, GUARDED)           \
	X(FL_END, "/gfl.v1.FlService/End", gfl__v1__fl_end_request,            \
	  gfl__v1__fl_end_response, UNARY, CONTROL, true, GUARDED)             \
	X(FL_GET_STATUS, "/gfl.v1.FlService/GetStatus",                        \
	  gfl__v1__fl_status_request, gfl__v1__fl_status, UNARY, CONTROL,      \
	  true, OPEN)                                                          \
	X(FL_FOLLOW, "/gfl.v1.FlService/Follow", gfl__v1__fl_follow_request,   \
	  gfl__v1__fl_follow_response, UNARY, CONTROL, true, GUARDED)          \
	X(FL_PULL_STATE, "/gfl.v1.FlService/PullState",                        \
	  gfl__v1__fl_state_request, gfl__v1__tensor_chunk, SERVER_STREAM,     \
	  BULK, true, GUARDED)

#define RPC_MASTER_METHODS(X)                                                \
	X(MASTER_REGISTER_WORKER,                                            \
	  "/morphml.distributed.MasterService/RegisterWorker",               \
	  morphml__distributed__register_request,                            \
	  morphml__distributed__register_response, UNARY, CONTROL, true,     \
	  GUARDED)                                                           \
	X(MASTER_HEARTBEAT, "/morphml.distributed.MasterService/Heartbeat",  \
	  morphml__distributed__heartbeat_request,                           \
	  morphml__distributed__heartbeat_response, UNARY, CONTROL, true,    \
	  GUARDED)                                                           \
	X(MASTER_SUBMIT_RESULT,                                              \
	  "/morphml.distributed.MasterService/SubmitResult",                 \
	  morphml__distributed__result_request,                              \
	  morphml__distributed__result_response, UNARY, BULK, true, GUARDED) \
	X(MASTER_REQUEST_TASK,                                               \
	  "/morphml.distributed.MasterService/RequestTask",                  \
	  morphml__distributed__task_request,                                \
	  morphml__distributed__task_response, UNARY, CONTROL, true, GUARDED)

#define RPC_WORKER_METHODS(X)                                                 \
	X(WORKER_EVALUATE, "/morphml.distributed.WorkerService/Evaluate",     \
	  morphml__distributed__evaluate_request,                             \
	  morphml__distributed__evaluate_response, UNARY, BULK, false,        \
	  GUARDED)                                                            \
	X(WORKER_GET_STATUS, "/morphml.distributed.WorkerService/GetStatus",  \
	  morphml__distributed__status_request,                               \
	  morphml__distributed__status_response, UNARY, CONTROL, true, OPEN)  \
	X(WORKER_SHUTDOWN, "/morphml.distributed.WorkerService/Shutdown",     \
	  morphml__distributed__shutdown_request,                             \
	  morphml__distributed__shutdown_response, UNARY, CONTROL, true,      \
	  GUARDED)                                                            \
	X(WORKER_CANCEL_TASK, "/morphml.distributed.WorkerService/CancelTask", \
	  morphml__distributed__cancel_request,                               \
	  morphml__distributed__cancel_response, UNARY, CONTROL, true, GUARDED)

#define RPC_TASK_METHODS(X)                                                   \
	X(TASK_SUBMIT, "/gfl.v1.TaskService/SubmitTasks",                     \
	  gfl__v1__submit_tasks_request, gfl__v1__submit_tasks_response,      \
	  UNARY, CONTROL, true, GUARDED)                                      \
	X(TASK_WAIT_RESULTS, "/gfl.v1.TaskService/WaitResults",               \
	  gfl__v1__wait_results_request, gfl__v1__wait_results_response,      \
	  UNARY, CONTROL, true, OPEN)                                         \
	X(TASK_LIST, "/gfl.v1.TaskService/ListTasks",                         \
	  gfl__v1__list_tasks_request, gfl__v1__list_tasks_response, UNARY,   \
	  CONTROL, true, OPEN)                                                \
	X(TASK_CANCEL, "/gfl.v1.TaskService/CancelTasks",                     \
	  gfl__v1__cancel_tasks_request, gfl__v1__cancel_tasks_response,      \
	  UNARY, CONTROL, true, GUARDED)                                      \
	X(TASK_LIST_WORKERS, "/gfl.v1.TaskService/ListWorkers",               \
	  gfl__v1__list_workers_request, gfl__v1__list_workers_response,      \
	  UNARY, CONTROL, true, OPEN)                                         \
	X(TASK_GET_STATUS, "/gfl.v1.TaskService/GetStatus",                   \
	  gfl__v1__master_status_request, gfl__v1__master_status, UNARY,      \
	  CONTROL, true, OPEN)                                                \
	X(TASK_LEAVE, "/gfl.v1.TaskService/LeaveMaster",                      \
	  gfl__v1__leave_master_request, gfl__v1__leave_master_response,      \
	  UNARY, CONTROL, true, GUARDED)

#define RPC_METHODS(X)         \
	RPC_GATEWAY_METHODS(X) \
	RPC_RAFT_METHODS(X)    \
	RPC_NODE_METHODS(X)    \
	RPC_COMM_METHODS(X)    \
	RPC_TRAINER_METHODS(X) \
	RPC_PARTICIPANT_METHODS(X) \
	RPC_FL_METHODS(X)      \
	RPC_MASTER_METHODS(X)  \
	RPC_WORKER_METHODS(X)  \
	RPC_TASK_METHODS(X)

enum rpc_name {
#define RPC_ENUM(NAME, path, in, out, kind, channel, again, guard) RPC_##NAME,
	RPC_METHODS(RPC_ENUM)
#undef RPC_ENUM
		RPC_COUNT
};

extern const struct rpc_method rpc_methods[RPC_COUNT];

/* A message from its binary form, which binary.h checks first for what
 * protobuf-c lets through: strings are UTF-8 without NUL, depth and number of
 * fields are bounded (RESOURCE_EXHAUSTED). The caller frees *out with
 * rpc_free(). Malformed is INVALID_ARGUMENT. */
int rpc_unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *type,
	       const void *p, size_t len, struct err *err) MUST_CHECK;

/* Free a message that was unpacked; NULL is nothing. */
void rpc_free(ProtobufCMessage *msg);

/* A deep copy; rpc_free() it. */
ProtobufCMessage *rpc_copy(const ProtobufCMessage *msg);

#endif
