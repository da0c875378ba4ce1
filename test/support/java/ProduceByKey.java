import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Sends a record for each key and lets the producer choose the partition. Arguments: brokers, topic, keys. The value of a record is its key. */
public class ProduceByKey {
  public static void main(String[] args) throws Exception {
    Map<String, Object> config = Map.of("bootstrap.servers", args[0], "linger.ms", 5);
    try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
      for (int i = 2; i < args.length; i++) {
        byte[] key = args[i].getBytes(StandardCharsets.UTF_8);
        producer.send(new ProducerRecord<>(args[1], key, key));
      }
    }
  }
}
