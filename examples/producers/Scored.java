// A Java server that tells Leeway what it predicted. A request only puts an event into a bounded queue.
//
//     javac -cp 'libs/*' Scored.java && java -cp 'libs/*:.' Scored localhost:9092 leeway.predictions 1000
//
// Needs kafka-clients and jackson-databind.

import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Scored implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    final AtomicLong delivered = new AtomicLong();
    final AtomicLong lost = new AtomicLong();
    private final BlockingQueue<ProducerRecord<String, byte[]>> queue = new ArrayBlockingQueue<>(50_000);
    private final KafkaProducer<String, byte[]> producer;
    private final String topic;
    private final Thread sender = new Thread(this::send, "leeway-sender");
    private volatile boolean closing;

    Scored(String brokers, String topic) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("enable.idempotence", "true");
        settings.put("linger.ms", "50");
        settings.put("compression.type", "lz4");
        this.topic = topic;
        this.producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer());
        sender.setDaemon(true);
        sender.start();
    }

    /** Never waits: KafkaProducer.send() itself may, for max.block.ms, so it is called by the sender only. */
    String prediction(Map<String, Object> features, String prediction, double score) {
        String eventId = UUID.randomUUID().toString();
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("event_id", eventId);
        event.put("model_id", "churn");
        event.put("model_version", "1.0.0");
        event.put("timestamp", System.currentTimeMillis());
        event.put("features", features);
        event.put("prediction", prediction);
        event.put("score", number(score));
        try {
            byte[] value = JSON.writeValueAsBytes(event);
            if (!queue.offer(new ProducerRecord<>(topic, eventId, value))) {
                lost.incrementAndGet();
            }
        } catch (Exception unwritable) {
            lost.incrementAndGet();
        }
        return eventId;
    }

    /** NaN and infinities are missing: Jackson would write them as texts. */
    static Double number(double value) {
        return Double.isFinite(value) ? value : null;
    }

    /** Where Python's and C's clients put this key, so that a label of theirs meets it. */
    static int partition(String key, int partitions) {
        CRC32 crc = new CRC32();
        crc.update(key.getBytes(StandardCharsets.UTF_8));
        return (int) (crc.getValue() % partitions);
    }

    private void send() {
        while (!closing || !queue.isEmpty()) {
            try {
                ProducerRecord<String, byte[]> one = queue.poll(100, java.util.concurrent.TimeUnit.MILLISECONDS);
                if (one == null) {
                    continue;
                }
                int place = partition(one.key(), producer.partitionsFor(topic).size());
                producer.send(
                    new ProducerRecord<>(topic, place, one.key(), one.value()),
                    (metadata, error) -> (error == null ? delivered : lost).incrementAndGet());
            } catch (Exception unreachable) {
                lost.incrementAndGet();
            }
        }
    }

    @Override
    public void close() throws InterruptedException {
        closing = true;
        sender.join(10_000);
        producer.close(java.time.Duration.ofSeconds(10));
    }

    public static void main(String[] arguments) throws Exception {
        Scored scored = new Scored(arguments[0], arguments[1]);
        try (scored) {
            for (int i = 0; i < Integer.parseInt(arguments[2]); i++) {
                Map<String, Object> features = new LinkedHashMap<>();
                features.put("tenure_days", i);
                features.put("plan", "basic");
                features.put("monthly_fee", number(i % 10 == 0 ? Double.NaN : 9.99));
                scored.prediction(features, "stays", 0.1);
            }
        }
        System.out.println(scored.delivered + " delivered, " + scored.lost + " lost");
        System.exit(scored.lost.get() == 0 ? 0 : 1);
    }
}
