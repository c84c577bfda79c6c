import java.nio.file.Files;
import java.nio.file.Path;

import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;

/** Runs a file of SQL statements: all INSERTs as one job, to its end. */
public class Job {
    public static void main(String[] args) throws Exception {
        Configuration configuration = GlobalConfiguration.loadConfiguration(args[0]);
        String sql = Files.readString(Path.of(args[1])).replaceAll("(?m)^--.*$", "");

        TableEnvironment tables =
                TableEnvironment.create(
                        EnvironmentSettings.newInstance()
                                .inStreamingMode()
                                .withConfiguration(configuration)
                                .build());
        StatementSet inserts = tables.createStatementSet();
        for (String statement : sql.split(";")) {
            statement = statement.strip();
            if (statement.startsWith("INSERT")) {
                inserts.addInsertSql(statement);
            } else if (!statement.isEmpty()) {
                tables.executeSql(statement);
            }
        }
        inserts.execute().await();
        System.exit(0); // whatever thread a connector may have left
    }
}
