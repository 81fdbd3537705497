package raftwire;

import io.raftwire.Consistency;
import io.raftwire.NotLeader;
import io.raftwire.ProposeRequest;
import io.raftwire.ProposeResponse;
import io.raftwire.RaftClient;
import io.raftwire.ReadRequest;
import io.raftwire.ReadResponse;
import io.raftwire.RejectCode;
import io.raftwire.Rejected;
import io.raftwire.StatusRequest;
import io.raftwire.StatusResponse;
import io.raftwire.Unavailable;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.apache.thrift.TException;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.protocol.TCompactProtocol;
import org.apache.thrift.protocol.TProtocol;
import org.apache.thrift.transport.TSocket;
import org.apache.thrift.transport.TTransport;
import org.apache.thrift.transport.TTransportException;
import org.apache.thrift.transport.layered.TFramedTransport;

/** Calls one node at a time and goes where NotLeader points. Not for several threads at once. */
final class Client implements AutoCloseable {
  enum Protocol {
    COMPACT,
    BINARY;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private static final long GROUP = 1;
  private static final int TIMEOUT_MS = 5000; // of one call
  private static final long PATIENCE_MS = 15000; // for one operation, redirects and retries included
  private static final long PAUSE_MS = 100; // before a retry, where the node names no other time

  private final Protocol protocol;
  private final String seed;
  private String address;
  private TTransport transport;
  private RaftClient.Client stub;

  Client(Protocol protocol, String address) throws TTransportException {
    this.protocol = protocol;
    this.seed = address;
    this.address = address;
    connect();
  }

  /** A command of raftbench's state machine: who, which one of theirs, anything. */
  static ByteBuffer command(int clientId, long sequence) {
    byte[] padding = "from Java".getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(12 + padding.length).putInt(clientId).putLong(sequence).put(padding).flip();
  }

  static String text(byte[] b) {
    return new String(b, StandardCharsets.UTF_8);
  }

  ProposeResponse propose(ByteBuffer command) throws TException {
    var request = new ProposeRequest().setGroup(GROUP).setCommand(command).setTimeoutMs(TIMEOUT_MS);
    return call("Propose", stub -> stub.Propose(request));
  }

  ReadResponse read(String query) throws TException {
    var request = new ReadRequest().setGroup(GROUP).setQuery(query.getBytes(StandardCharsets.UTF_8));
    request.setConsistency(Consistency.LINEARIZABLE).setTimeoutMs(TIMEOUT_MS);
    return call("Read", stub -> stub.Read(request));
  }

  void status() throws TException {
    StatusResponse s = call("Status", stub -> stub.Status(new StatusRequest().setGroup(GROUP)));
    System.out.printf(
        "%s: node %d is %s in term %d, leader %d, applied %d%n",
        protocol, s.getNode(), s.getRole(), s.getTerm(), s.getLeader(), s.getApplied());
  }

  @Override
  public void close() {
    if (transport != null) {
      transport.close();
    }
    transport = null;
    stub = null;
  }

  private interface Once<T> {
    T call(RaftClient.Client stub) throws TException;
  }

  /**
   * Repeats a call until it succeeds, fails for good, or the patience is over.
   *
   * <p>A write that is sent again may be carried out twice. Here that does no harm: the command carries a client's number and a
   * sequence number, and the node's state machine applies such a pair once.
   */
  private <T> T call(String method, Once<T> once) throws TException {
    long deadline = System.nanoTime() + PATIENCE_MS * 1_000_000;
    for (int redirects = 0; ; ) {
      long pause = PAUSE_MS;
      TException failure;
      try {
        if (stub == null) {
          connect();
        }
        return once.call(stub);
      } catch (NotLeader e) {
        failure = e;
        if (e.isSetLeaderAddress()) {
          System.out.printf("%s: %s: %s does not lead, redirected to %s%n", protocol, method, address, e.getLeaderAddress());
          move(e.getLeaderAddress());
          pause = PAUSE_MS * redirects++; // two nodes may name each other for a while
        }
      } catch (Unavailable e) {
        failure = e;
        pause = e.isSetRetryAfterMs() ? e.getRetryAfterMs() : PAUSE_MS;
      } catch (Rejected e) {
        if (e.getCode() != RejectCode.BUSY) {
          throw e;
        }
        failure = e;
      } catch (TTransportException e) {
        failure = e;
        move(seed);
      }
      if (System.nanoTime() + pause * 1_000_000 - deadline > 0) {
        throw failure;
      }
      sleep(pause);
    }
  }

  private static void sleep(long ms) throws TException {
    try {
      Thread.sleep(ms);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new TException("interrupted", e);
    }
  }

  private void connect() throws TTransportException {
    int colon = address.lastIndexOf(':');
    if (colon < 0) {
      throw new IllegalArgumentException(address + " is not HOST:PORT");
    }
    int port = Integer.parseInt(address.substring(colon + 1));
    var socket = new TSocket(address.substring(0, colon), port, 2 * TIMEOUT_MS);
    transport = new TFramedTransport(socket);
    transport.open();
    TProtocol p = protocol == Protocol.COMPACT ? new TCompactProtocol(transport) : new TBinaryProtocol(transport);
    stub = new RaftClient.Client(p);
  }

  private void move(String to) {
    close();
    address = to;
  }
}
