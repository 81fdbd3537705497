package raftwire;

import org.apache.thrift.TException;

/**
 * A client of a Raftwire node in stock Thrift: one write, the same write again, one read, and the node's status.
 *
 * <p>The arguments are ADDRESS [CLIENT]. It does so over framed Compact and then over framed Binary. ADDRESS is any node of a
 * raftbench cluster, CLIENT a number of its own for everyone who writes to it. docs/guides/other-languages.md says why each
 * answer is treated as it is.
 */
public final class Main {
  public static void main(String[] args) {
    System.exit(run(args));
  }

  private static int run(String[] args) {
    if (args.length != 1 && args.length != 2) {
      System.err.println("usage: raftwire.Main ADDRESS [CLIENT]");
      return 2;
    }
    int clientId = args.length == 2 ? Integer.parseInt(args[1]) : 1;
    long sequence = System.currentTimeMillis() * 1000;
    for (Client.Protocol protocol : Client.Protocol.values()) {
      try {
        session(protocol, args[0], clientId, sequence++);
      } catch (TException | RuntimeException e) {
        System.err.printf("client: %s: %s%n", protocol, e.getMessage() != null ? e.getMessage() : e);
        return 1;
      }
    }
    System.out.println("ok");
    return 0;
  }

  private static void session(Client.Protocol protocol, String address, int clientId, long sequence) throws TException {
    try (Client client = new Client(protocol, address)) { // an address where nobody listens is not tried again
      client.status();
      var command = Client.command(clientId, sequence);
      var first = client.propose(command);
      System.out.printf("%s: proposed %d/%d: index %d, term %d%n", protocol, clientId, sequence, first.getIndex(), first.getTerm());
      var again = client.propose(command);
      String result = Client.text(again.getResult());
      System.out.printf("%s: proposed again: index %d, %s%n", protocol, again.getIndex(), result);
      if (!result.equals("duplicate") || again.getIndex() <= first.getIndex()) {
        throw new IllegalStateException("the second answer is " + again);
      }
      var answer = client.read("client " + clientId);
      String ranges = Client.text(answer.getResult());
      System.out.printf("%s: read at index %d: %s%n", protocol, answer.getIndex(), ranges);
      if (!holds(ranges, sequence) || answer.getIndex() < again.getIndex()) {
        throw new IllegalStateException("the read does not show " + sequence);
      }
      client.status();
    }
  }

  /** Whether a number lies in ranges such as "1..5 7..9", ends not included. */
  private static boolean holds(String ranges, long sequence) {
    for (String range : ranges.split(" ")) {
      String[] ends = range.split("\\.\\.");
      if (Long.parseUnsignedLong(ends[0]) <= sequence && sequence < Long.parseUnsignedLong(ends[1])) {
        return true;
      }
    }
    return false;
  }
}
