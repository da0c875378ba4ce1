import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Fills a topic quickly with the official Java producer: millions of JSON records of one exact size, record i to partition i mod n.
 *
 * java -cp 'kafka-jars/*' Produce.java brokers=<host:port,...> topic=<name> count=<records> [name=value ...]
 *
 *   bytes=73             size of every value
 *   firstId=0            id of the first record; value, key and partition follow from the id alone
 *   keys=false           key `k<id mod 10000>`, else null
 *   headers=0            headers a record: `h0`, `h1`, …
 *   timestamp=-1         of the first record, in ms; -1: the time it is sent
 *   timestampStep=0      ms from one record to the next, with timestamp
 *   compression=none     none, gzip, snappy, lz4, zstd
 *   batchBytes=131072    lingerMs=5
 *   idempotent=true
 *   transactionRecords=0 records a transaction; 0: no transactions
 *   abortEvery=0         every k-th transaction of a producer is aborted; 0: none
 *   producers=1          record i is sent by producer i mod n, each with a transactional id of its own, so that transactions interleave
 *   transactionalId=produce
 *   perSecond=0          records a second; 0: as fast as it goes
 *
 * Prints one line of JSON: {"records":…,"committed":…,"aborted":…,"ms":…}, where committed are those not aborted.
 */
public class Produce {
  private final Map<String, String> options = new HashMap<>();
  private final AtomicReference<Exception> failure = new AtomicReference<>();
  private final Callback callback = (metadata, error) -> {
    // What an abort takes out of the buffer was not meant to arrive.
    if (error != null && !(error instanceof org.apache.kafka.common.errors.TransactionAbortedException)) failure.compareAndSet(null, error);
  };

  public static void main(String[] args) throws Exception {
    new Produce(args).run();
  }

  private Produce(String[] args) {
    for (String arg : args) {
      int equals = arg.indexOf('=');
      options.put(arg.substring(0, equals), arg.substring(equals + 1));
    }
  }

  private String text(String name, String otherwise) {
    String value = options.getOrDefault(name, otherwise);
    if (value == null) throw new IllegalArgumentException(name + "=… is missing");
    return value;
  }

  private long number(String name, long otherwise) {
    return Long.parseLong(text(name, Long.toString(otherwise)));
  }

  private void run() throws Exception {
    String topic = text("topic", null);
    long count = Long.parseLong(text("count", null));
    long firstId = number("firstId", 0);
    int bytes = (int) number("bytes", 73);
    boolean keys = Boolean.parseBoolean(text("keys", "false"));
    int headers = (int) number("headers", 0);
    long timestamp = number("timestamp", -1);
    long step = number("timestampStep", 0);
    long perTransaction = number("transactionRecords", 0);
    long abortEvery = number("abortEvery", 0);
    int lanes = (int) number("producers", 1);
    long perSecond = number("perSecond", 0);

    List<Lane> open = new ArrayList<>();
    for (int i = 0; i < lanes; i++) open.add(new Lane(i, perTransaction, abortEvery));
    int partitions = open.get(0).producer.partitionsFor(topic).size();
    long startedAt = System.nanoTime();
    for (long i = 0; i < count && failure.get() == null; i++) {
      if (perSecond > 0 && i % 1000 == 0) {
        long aheadMs = i * 1000 / perSecond - (System.nanoTime() - startedAt) / 1_000_000;
        if (aheadMs > 0) Thread.sleep(aheadMs);
      }
      long id = firstId + i;
      Long at = timestamp < 0 ? null : timestamp + i * step;
      byte[] key = keys ? ("k" + id % 10_000).getBytes(StandardCharsets.US_ASCII) : null;
      open.get((int) (i % lanes)).send(new ProducerRecord<>(topic, (int) (id % partitions), at, key, value(id, bytes), headers(id, headers)));
    }
    long committed = 0;
    for (Lane lane : open) committed += lane.end();
    long ms = (System.nanoTime() - startedAt) / 1_000_000;
    for (Lane lane : open) lane.settle();
    if (failure.get() != null) throw failure.get();
    System.out.printf("{\"records\":%d,\"committed\":%d,\"aborted\":%d,\"ms\":%d}%n", count, committed, count - committed, ms);
  }

  /** One producer and its run of transactions. */
  private final class Lane {
    final KafkaProducer<byte[], byte[]> producer;
    private final Properties p = new Properties();
    private final long perTransaction;
    private final long abortEvery;
    private long inTransaction = 0;
    private long transactions = 0;
    private long committed = 0;

    Lane(int index, long perTransaction, long abortEvery) {
      this.perTransaction = perTransaction;
      this.abortEvery = abortEvery;
      p.put("bootstrap.servers", text("brokers", null));
      p.put("compression.type", text("compression", "none"));
      p.put("batch.size", text("batchBytes", "131072"));
      p.put("linger.ms", text("lingerMs", "5"));
      p.put("max.request.size", "16777216");
      p.put("buffer.memory", "134217728");
      p.put("enable.idempotence", text("idempotent", "true"));
      if (perTransaction > 0) p.put("transactional.id", text("transactionalId", "produce") + "-" + index);
      producer = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
      if (perTransaction > 0) producer.initTransactions();
    }

    void send(ProducerRecord<byte[], byte[]> record) {
      if (perTransaction > 0 && inTransaction == 0) producer.beginTransaction();
      producer.send(record, callback);
      inTransaction++;
      if (inTransaction == perTransaction) endTransaction();
    }

    private void endTransaction() {
      transactions++;
      if (abortEvery > 0 && transactions % abortEvery == 0) {
        // Flushed first: records still in the buffer would be dropped, and an aborted transaction is to be seen in the log.
        producer.flush();
        producer.abortTransaction();
      } else {
        producer.commitTransaction();
        committed += inTransaction;
      }
      inTransaction = 0;
    }

    /** Ends what is open and gives the number of records that were not aborted. */
    long end() {
      if (perTransaction == 0) committed = inTransaction;
      else if (inTransaction > 0) endTransaction();
      producer.close();
      return committed;
    }

    /**
     * Waits until the markers of the last transaction are in the log: they are written after a commit or abort has returned, and a
     * read right behind it could miss its records. The same id can be initialised again only when they are.
     */
    void settle() {
      if (perTransaction == 0) return;
      try (KafkaProducer<byte[], byte[]> again = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
        again.initTransactions();
      }
    }
  }

  private static final byte[] PAD = new byte[64 * 1024];

  static {
    // Text that compresses about as well as real fields do: eight letters in no order.
    long state = 88172645463325252L;
    for (int i = 0; i < PAD.length; i++) {
      state ^= state << 13;
      state ^= state >>> 7;
      state ^= state << 17;
      PAD[i] = (byte) ("etaoinsh".charAt((int) (state >>> 61)));
    }
  }

  /** `{"id":7,"user":"u7919","amount":13.07,"note":"…"}` of exactly `size` bytes, from the id alone. */
  private static byte[] value(long id, int size) {
    byte[] out = new byte[size];
    long mixed = id * 0x9E3779B97F4A7C15L >>> 20;
    int at = put(out, 0, "{\"id\":");
    at = put(out, at, id);
    at = put(out, at, ",\"user\":\"u");
    at = put(out, at, mixed % 9000 + 1000);
    at = put(out, at, "\",\"amount\":");
    at = put(out, at, mixed % 997);
    at = put(out, at, ".");
    at = put(out, at, mixed % 90 + 10);
    at = put(out, at, ",\"note\":\"");
    int pad = size - at - 2;
    if (pad < 0) throw new IllegalArgumentException("bytes=" + size + " is too small for record " + id + ": it needs " + (at + 2));
    for (int from = (int) ((mixed & 0x7fff)); pad > 0; from = 0) {
      int part = Math.min(pad, PAD.length - from);
      System.arraycopy(PAD, from, out, at, part);
      at += part;
      pad -= part;
    }
    put(out, at, "\"}");
    return out;
  }

  private static int put(byte[] out, int at, String text) {
    for (int i = 0; i < text.length(); i++, at++) if (at < out.length) out[at] = (byte) text.charAt(i);
    return at;
  }

  private static int put(byte[] out, int at, long number) {
    int digits = 1;
    for (long rest = number / 10; rest > 0; rest /= 10) digits++;
    for (int i = at + digits - 1; i >= at; i--, number /= 10) if (i < out.length) out[i] = (byte) ('0' + number % 10);
    return at + digits;
  }

  private static List<Header> headers(long id, int count) {
    if (count == 0) return null;
    List<Header> headers = new ArrayList<>(count);
    for (int i = 0; i < count; i++) headers.add(new RecordHeader("h" + i, Long.toString(id + i).getBytes(StandardCharsets.US_ASCII)));
    return headers;
  }
}
