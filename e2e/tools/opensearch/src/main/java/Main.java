import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.node.OpenSearchRunnerNode;
import org.opensearch.analysis.common.CommonAnalysisModulePlugin;
import org.opensearch.common.settings.Settings;
import org.opensearch.index.mapper.MapperExtrasModulePlugin;
import org.opensearch.index.reindex.ReindexModulePlugin;
import org.opensearch.ingest.common.IngestCommonModulePlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4ModulePlugin;

/** Runs one OpenSearch node until it is told to end. Settings are the arguments, as key=value. */
public final class Main {
    public static void main(String[] args) throws Exception {
        // The runner's node is used without the runner, which would look for a free port of its own.
        Node node = new OpenSearchRunnerNode(
            InternalSettingsPreparer.prepareEnvironment(settings(args), Map.of(), null, () -> "longshore-e2e"),
            List.of(
                Netty4ModulePlugin.class,
                CommonAnalysisModulePlugin.class,
                IngestCommonModulePlugin.class,
                MapperExtrasModulePlugin.class,
                ReindexModulePlugin.class));
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
        return settings.build();
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
