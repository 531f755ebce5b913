import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.transport.Netty4Plugin;

/** Runs one Elasticsearch node until it is told to end. Settings are the arguments, as key=value. */
public final class Main {
    /** Node's own constructor takes no plugins from the class path, and without Netty4Plugin there is no HTTP. */
    private static final class HttpNode extends Node {
        HttpNode(Settings settings) {
            super(
                InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "longshore-e2e"),
                List.of(Netty4Plugin.class),
                true);
        }
    }

    public static void main(String[] args) throws Exception {
        HttpNode node = new HttpNode(settings(args));
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node, ended)));
        node.start();
        ended.await();
    }

    private static Settings settings(String[] args) {
        Settings.Builder settings = Settings.builder();
        for (String arg : args) {
            int equals = arg.indexOf('=');
            settings.put(arg.substring(0, equals), arg.substring(equals + 1));
        }
        // The official image takes settings from the environment, told by the dot in their names.
        System.getenv().forEach((name, value) -> {
            if (name.matches("[a-z][a-z0-9_]*(\\.[a-z0-9_]+)+") && !absent(name)) {
                settings.put(name, value);
            }
        });
        return settings.build();
    }

    /** Settings of parts that are not here, which a node refuses to start with. */
    private static boolean absent(String name) {
        return name.startsWith("xpack.") || name.startsWith("ingest.geoip.");
    }

    private static void close(Node node, CountDownLatch ended) {
        try {
            node.close();
        } catch (Exception e) {
            e.printStackTrace();
        }
        ended.countDown();
    }
}
