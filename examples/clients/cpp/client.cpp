// A client of a Raftwire node in stock Thrift: one write, the same write again, one read, and the node's status.
//
//     client ADDRESS [CLIENT]
//
// It does so over framed Compact and then over framed Binary. ADDRESS is any node of a raftbench cluster, CLIENT a number of
// its own for everyone who writes to it. docs/guides/other-languages.md says why each answer is treated as it is.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

#include <thrift/TApplicationException.h>
#include <thrift/TOutput.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include "RaftClient.h"

namespace {

using namespace raftwire;
using apache::thrift::TException;
using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::protocol::TCompactProtocol;
using apache::thrift::protocol::TProtocol;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TSocket;
using apache::thrift::transport::TTransportException;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr GroupID kGroup = 1;
constexpr int kTimeoutMs = 5000;       // of one call
constexpr milliseconds kPatience(15000); // for one operation, redirects and retries included
constexpr milliseconds kPause(100);    // before a retry, where the node names no other time

// Client calls one node at a time and goes where NotLeader points.
class Client {
 public:
  Client(std::string protocol, std::string address)
      : protocol_(std::move(protocol)), seed_(address), address_(std::move(address)) {
    connect();
  }

  ProposeResponse propose(const std::string& command) {
    ProposeRequest request;
    request.__set_group(kGroup);
    request.__set_command(command);
    request.__set_timeoutMs(kTimeoutMs);
    ProposeResponse response;
    call("Propose", [&] { stub_->Propose(response, request); });
    return response;
  }

  ReadResponse read(const std::string& query) {
    ReadRequest request;
    request.__set_group(kGroup);
    request.__set_query(query);
    request.__set_consistency(Consistency::LINEARIZABLE);
    request.__set_timeoutMs(kTimeoutMs);
    ReadResponse response;
    call("Read", [&] { stub_->Read(response, request); });
    return response;
  }

  void status() {
    StatusRequest request;
    request.__set_group(kGroup);
    StatusResponse s;
    call("Status", [&] { stub_->Status(s, request); });
    std::cout << protocol_ << ": node " << s.node << " is " << to_string(s.role) << " in term " << s.term << ", leader "
              << s.leader << ", applied " << s.applied << std::endl;
  }

 private:
  void connect() {
    const auto colon = address_.rfind(':');
    const int port = colon == std::string::npos ? 0 : std::atoi(address_.c_str() + colon + 1);
    if (port <= 0) throw std::invalid_argument(address_ + " is not HOST:PORT");
    auto socket = std::make_shared<TSocket>(address_.substr(0, colon), port);
    socket->setConnTimeout(kTimeoutMs);
    socket->setRecvTimeout(2 * kTimeoutMs);
    socket->setSendTimeout(2 * kTimeoutMs);
    auto framed = std::make_shared<TFramedTransport>(socket);
    framed->open();
    std::shared_ptr<TProtocol> protocol;
    if (protocol_ == "compact") {
      protocol = std::make_shared<TCompactProtocol>(framed);
    } else {
      protocol = std::make_shared<TBinaryProtocol>(framed);
    }
    stub_ = std::make_unique<RaftClientClient>(protocol); // its end closes the connection
  }

  void move(const std::string& address) {
    stub_.reset();
    address_ = address;
  }

  // call repeats a call until it succeeds, fails for good, or the patience is over.
  //
  // A write that is sent again may be carried out twice. Here that does no harm: the command carries a client's number and
  // a sequence number, and the node's state machine applies such a pair once.
  template <typename Once>
  void call(const char* method, Once once) {
    const auto deadline = steady_clock::now() + kPatience;
    for (int redirects = 0;;) {
      milliseconds pause = kPause;
      try {
        if (!stub_) connect();
        once();
        return;
      } catch (const NotLeader& e) {
        if (!e.leaderAddress.empty()) {
          std::cout << protocol_ << ": " << method << ": " << address_ << " does not lead, redirected to " << e.leaderAddress
                    << std::endl;
          move(e.leaderAddress);
          pause = kPause * redirects++; // two nodes may name each other for a while
        }
        if (steady_clock::now() + pause > deadline) throw;
      } catch (const Unavailable& e) {
        if (e.retryAfterMs > 0) pause = milliseconds(e.retryAfterMs);
        if (steady_clock::now() + pause > deadline) throw;
      } catch (const Rejected& e) {
        if (e.code != RejectCode::BUSY || steady_clock::now() + pause > deadline) throw;
      } catch (const TTransportException&) {
        move(seed_);
        if (steady_clock::now() + pause > deadline) throw;
      }
      std::this_thread::sleep_for(pause);
    }
  }

  const std::string protocol_;
  const std::string seed_;
  std::string address_;
  std::unique_ptr<RaftClientClient> stub_;
};

// holds tells whether a number lies in ranges such as "1..5 7..9", ends not included.
bool holds(const std::string& ranges, uint64_t sequence) {
  std::istringstream in(ranges);
  for (std::string range; in >> range;) {
    const auto dots = range.find("..");
    if (std::stoull(range.substr(0, dots)) <= sequence && sequence < std::stoull(range.substr(dots + 2))) return true;
  }
  return false;
}

std::string commandOf(uint32_t client, uint64_t sequence) {
  std::string command;
  for (int shift = 24; shift >= 0; shift -= 8) command.push_back(static_cast<char>(client >> shift));
  for (int shift = 56; shift >= 0; shift -= 8) command.push_back(static_cast<char>(sequence >> shift));
  return command + "from C++";
}

void session(const std::string& protocol, const std::string& address, uint32_t clientId, uint64_t sequence) {
  Client client(protocol, address); // an address where nobody listens is not tried again
  client.status();
  const auto command = commandOf(clientId, sequence);
  const auto first = client.propose(command);
  std::cout << protocol << ": proposed " << clientId << '/' << sequence << ": index " << first.index << ", term "
            << first.term << std::endl;
  const auto again = client.propose(command);
  std::cout << protocol << ": proposed again: index " << again.index << ", " << again.result << std::endl;
  if (again.result != "duplicate" || again.index <= first.index) {
    throw std::runtime_error("the second answer is " + again.result + " at index " + std::to_string(again.index));
  }
  const auto answer = client.read("client " + std::to_string(clientId));
  std::cout << protocol << ": read at index " << answer.index << ": " << answer.result << std::endl;
  if (!holds(answer.result, sequence) || answer.index < again.index) {
    throw std::runtime_error("the read does not show " + std::to_string(sequence));
  }
  client.status();
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: client ADDRESS [CLIENT]\n";
    return 2;
  }
  apache::thrift::GlobalOutput.setOutputFunction([](const char*) {}); // what it would log is thrown as well
  using std::chrono::system_clock;
  uint64_t sequence = std::chrono::duration_cast<std::chrono::microseconds>(system_clock::now().time_since_epoch()).count();
  for (const char* protocol : {"compact", "binary"}) {
    try {
      session(protocol, argv[1], argc == 3 ? std::stoul(argv[2]) : 1, sequence++);
    } catch (const std::exception& e) {
      std::cerr << "client: " << protocol << ": " << e.what() << std::endl;
      return 1;
    }
  }
  std::cout << "ok" << std::endl;
}
