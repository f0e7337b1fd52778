#!/usr/bin/python3
"""comm_manager.py GATEWAY NODE - a gRPC client that knows nothing but what the
first comm manager had: its messages as they are below, and grpcio. GATEWAY is
host:port of a fresh gfl-gateway, NODE of the gfl-node with the id 1. TAP on
stdout."""
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc

import peer
import tap

GATEWAY = """
syntax = "proto3";
message NodeInfo {
  int32 node_id = 1;
  string ip_address = 2;
  int32 port = 3;
  repeated string capabilities = 4;
  string status = 5;
  double last_seen = 6;
  double join_timestamp = 7;
  map<string, string> metadata = 8;
}
message RegisterNodeRequest {
  int32 node_id = 1;
  string ip_address = 2;
  int32 port = 3;
  repeated string capabilities = 4;
  map<string, string> metadata = 5;
}
message RegisterNodeResponse {
  string status = 1;
  int32 node_id = 2;
  bool is_bootstrap = 3;
  int32 registry_version = 4;
  repeated NodeInfo nodes = 5;
  NodeInfo leader = 6;
  string message = 7;
}
message GetNodesRequest { int32 requesting_node_id = 1; }
message GetNodesResponse {
  repeated NodeInfo nodes = 1;
  int32 registry_version = 2;
}
message GetLeaderRequest {}
message GetLeaderResponse {
  NodeInfo leader = 1;
  int32 registry_version = 2;
  string message = 3;
}
message UpdateLeaderRequest { int32 leader_id = 1; }
message UpdateLeaderResponse {
  string status = 1;
  int32 leader_id = 2;
  string message = 3;
}
message HeartbeatRequest { int32 node_id = 1; }
message HeartbeatResponse {
  string status = 1;
  int32 registry_version = 2;
}
message HealthCheckRequest {}
message HealthCheckResponse {
  string status = 1;
  double timestamp = 2;
  string version = 3;
}
message RemoveNodeRequest { int32 node_id = 1; }
message RemoveNodeResponse {
  string status = 1;
  int32 node_id = 2;
  string message = 3;
}
message GetStatsRequest {}
message GetStatsResponse {
  int32 total_nodes = 1;
  int32 active_nodes = 2;
  int32 leader_id = 3;
  int32 registry_version = 4;
  bool bootstrap_initiated = 5;
  double uptime = 6;
}
"""


def schema(name, text):
    """The Python classes of a .proto."""
    with tempfile.TemporaryDirectory() as tmp:
        (Path(tmp) / (name + ".proto")).write_text(text)
        subprocess.run(["protoc", "-I", tmp, "--python_out", tmp,
                        name + ".proto"], check=True)
        sys.path.insert(0, tmp)
        return __import__(name + "_pb2")


COMM = """
syntax = "proto3";
message CommRequest {
  int32 client_id = 1;
  bytes message = 2;
}
message CommResponse {
  int32 client_id = 1;
  bytes message = 2;
}
"""

PB = schema("gateway", GATEWAY)
COMM_PB = schema("comm", COMM)
CHANNEL = peer.channel(sys.argv[1])


def gateway(method, **fields):
    out = getattr(PB, method + "Response")
    return CHANNEL.unary_unary(
        "/GatewayService/" + method,
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=out.FromString,
    )(getattr(PB, method + "Request")(**fields), timeout=10)


@tap.case("comm manager: the first to register hears that it founds the cluster")
def _():
    r = gateway("RegisterNode", node_id=1, ip_address="127.0.0.1", port=50051,
                capabilities=["train", "grpc"], metadata={"zone": "é"})
    assert r.status == "registered" and r.node_id == 1, r
    assert r.is_bootstrap and not r.HasField("leader"), r
    assert [n.node_id for n in r.nodes] == [1], r
    n = r.nodes[0]
    assert (n.ip_address, n.port, n.status) == ("127.0.0.1", 50051, "alive"), n
    assert list(n.capabilities) == ["train", "grpc"], n
    assert dict(n.metadata) == {"zone": "é"}, n
    assert abs(n.last_seen - time.time()) < 60, n
    assert abs(n.join_timestamp - time.time()) < 60, n


@tap.case("comm manager: the second does not, and sees the first")
def _():
    r = gateway("RegisterNode", node_id=2, ip_address="127.0.0.1", port=50052)
    assert r.status == "registered" and not r.is_bootstrap, r
    assert [n.node_id for n in r.nodes] == [1, 2], r


@tap.case("comm manager: who registers again is updated")
def _():
    r = gateway("RegisterNode", node_id=2, ip_address="127.0.0.1", port=50052,
                capabilities=["late"])
    assert r.status == "updated" and r.node_id == 2, r
    assert list(r.nodes[1].capabilities) == ["late"], r


@tap.case("comm manager: heartbeats of known nodes are received, others told so")
def _():
    assert gateway("Heartbeat", node_id=1).status == "received"
    assert gateway("Heartbeat", node_id=77).status == "unknown_node"


@tap.case("comm manager: GetNodes lists who is there")
def _():
    r = gateway("GetNodes", requesting_node_id=1)
    assert [n.node_id for n in r.nodes] == [1, 2], r
    assert r.registry_version > 0, r


@tap.case("comm manager: UpdateLeader, without a term, is what GetLeader tells")
def _():
    assert not gateway("GetLeader").HasField("leader")
    r = gateway("UpdateLeader", leader_id=2)
    assert r.status == "updated" and r.leader_id == 2, r
    r = gateway("GetLeader")
    assert r.leader.node_id == 2 and r.leader.port == 50052, r
    assert gateway("UpdateLeader", leader_id=77).status == "unknown_node"


@tap.case("comm manager: GetStats counts")
def _():
    r = gateway("GetStats")
    assert (r.total_nodes, r.active_nodes, r.leader_id) == (2, 2, 2), r
    assert r.uptime >= 0 and r.registry_version > 0, r


@tap.case("comm manager: HealthCheck is healthy")
def _():
    r = gateway("HealthCheck")
    assert r.status == "healthy" and r.version, r
    assert abs(r.timestamp - time.time()) < 60, r


@tap.case("comm manager: who is removed is gone, once")
def _():
    r = gateway("RemoveNode", node_id=1)
    assert r.status == "removed" and r.node_id == 1, r
    assert gateway("RemoveNode", node_id=1).status == "not_found"
    assert [n.node_id for n in gateway("GetNodes").nodes] == [2]


@tap.case("comm manager: what cannot be is refused with a status and a sentence")
def _():
    try:
        gateway("RegisterNode", node_id=-1, ip_address="127.0.0.1", port=1)
    except grpc.RpcError as e:
        assert e.code() == grpc.StatusCode.INVALID_ARGUMENT, e
        assert "-1" in e.details(), e
    else:
        raise AssertionError("taken")


@tap.case("comm manager: a node takes messages, which are pickles")
def _():
    with peer.channel(sys.argv[2]) as node:
        for method in "sendMessage", "handleReceiveMessage":
            r = node.unary_unary(
                "/gRPCCommManager/" + method,
                request_serializer=COMM_PB.CommRequest.SerializeToString,
                response_deserializer=COMM_PB.CommResponse.FromString,
            )(COMM_PB.CommRequest(client_id=7, message=pickle.dumps({1: "é"})),
              timeout=10)
            assert (r.client_id, r.message) == (1, b""), r


tap.end()
