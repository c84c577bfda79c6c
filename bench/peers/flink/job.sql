-- The job: four tables of Kafka, four of MongoDB, and an INSERT for each, all in one job.
-- `run` puts values for the names between @.
--
-- The aggregation is a plain GROUP BY, which tells of a group as soon as it changes. The window
-- functions (TUMBLE, CUMULATE) tell of one when the watermark has passed, and for events that may
-- come two hours late the watermark has to be two hours behind: nothing of an open window would
-- be seen.
--
-- _id is the window's start in seconds since 1970 (ten digits), a bar and the group. The grouping
-- is by _id itself and all else is taken out of it: only then does the planner know that a new
-- row of a group replaces the old one. By other columns, Flink would have the old document
-- deleted before it has the new one written.

-- Of Kafka: only the columns that are used, as the connector parses all that a table names.

CREATE TABLE customers (
    customer_id STRING,
    gender STRING,
    last_login TIMESTAMP(3),
    _id AS CAST(CAST(TIMESTAMPDIFF(DAY, TIMESTAMP '1970-01-01 00:00:00', last_login) AS BIGINT) * 86400 AS STRING) || '|' || gender
) WITH (
    'connector' = 'kafka',
    'topic' = '@PREFIX@customers',
    'properties.bootstrap.servers' = '@BROKERS@',
    'properties.group.id' = '@PREFIX@flink-customers',
    'scan.startup.mode' = 'earliest-offset',
    'scan.bounded.mode' = '@BOUNDED@',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE products (
    category STRING,
    price DOUBLE,
    stock_quantity INT,
    kafka_time TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
    _id AS CAST(CAST(TIMESTAMPDIFF(HOUR, TO_TIMESTAMP_LTZ(0, 3), kafka_time) AS BIGINT) * 3600 AS STRING) || '|' || category
) WITH (
    'connector' = 'kafka',
    'topic' = '@PREFIX@products',
    'properties.bootstrap.servers' = '@BROKERS@',
    'properties.group.id' = '@PREFIX@flink-products',
    'scan.startup.mode' = 'earliest-offset',
    'scan.bounded.mode' = '@BOUNDED@',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE transactions (
    customer_id STRING,
    product_id STRING,
    quantity INT,
    kafka_time TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
    _id AS CAST(CAST(TIMESTAMPDIFF(HOUR, TO_TIMESTAMP_LTZ(0, 3), kafka_time) AS BIGINT) * 3600 AS STRING) || '|' || product_id
) WITH (
    'connector' = 'kafka',
    'topic' = '@PREFIX@transactions',
    'properties.bootstrap.servers' = '@BROKERS@',
    'properties.group.id' = '@PREFIX@flink-transactions',
    'scan.startup.mode' = 'earliest-offset',
    'scan.bounded.mode' = '@BOUNDED@',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE product_views (
    product_id STRING,
    `timestamp` TIMESTAMP(3),
    view_duration INT,
    _id AS CAST(CAST(TIMESTAMPDIFF(HOUR, TIMESTAMP '1970-01-01 00:00:00', `timestamp`) AS BIGINT) * 3600 AS STRING) || '|' || product_id
) WITH (
    'connector' = 'kafka',
    'topic' = '@PREFIX@product_views',
    'properties.bootstrap.servers' = '@BROKERS@',
    'properties.group.id' = '@PREFIX@flink-product_views',
    'scan.startup.mode' = 'earliest-offset',
    'scan.bounded.mode' = '@BOUNDED@',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601'
);

-- Of MongoDB: with a primary key the sink upserts. TIMESTAMP_LTZ(3) is what it writes as a date.

CREATE TABLE customer_analysis (
    _id STRING,
    `window` ROW<`start` TIMESTAMP_LTZ(3), `end` TIMESTAMP_LTZ(3)>,
    gender STRING,
    total_customers BIGINT,
    unique_customers BIGINT,
    last_activity TIMESTAMP_LTZ(3),
    PRIMARY KEY (_id) NOT ENFORCED
) WITH (
    'connector' = 'mongodb',
    'uri' = '@MONGODB_URI@',
    'database' = '@DATABASE@',
    'collection' = 'customer_analysis',
    'sink.buffer-flush.max-rows' = '@SINK_ROWS@',
    'sink.buffer-flush.interval' = '@SINK_INTERVAL@',
    'sink.delivery-guarantee' = 'at-least-once'
);

CREATE TABLE product_analysis (
    _id STRING,
    window_start TIMESTAMP_LTZ(3),
    window_end TIMESTAMP_LTZ(3),
    category STRING,
    average_price DOUBLE,
    total_stock BIGINT,
    PRIMARY KEY (_id) NOT ENFORCED
) WITH (
    'connector' = 'mongodb',
    'uri' = '@MONGODB_URI@',
    'database' = '@DATABASE@',
    'collection' = 'product_analysis',
    'sink.buffer-flush.max-rows' = '@SINK_ROWS@',
    'sink.buffer-flush.interval' = '@SINK_INTERVAL@',
    'sink.delivery-guarantee' = 'at-least-once'
);

CREATE TABLE sales_analysis (
    _id STRING,
    window_start TIMESTAMP_LTZ(3),
    window_end TIMESTAMP_LTZ(3),
    product_id STRING,
    number_of_sales BIGINT,
    total_quantity_sold BIGINT,
    unique_customers BIGINT,
    PRIMARY KEY (_id) NOT ENFORCED
) WITH (
    'connector' = 'mongodb',
    'uri' = '@MONGODB_URI@',
    'database' = '@DATABASE@',
    'collection' = 'sales_analysis',
    'sink.buffer-flush.max-rows' = '@SINK_ROWS@',
    'sink.buffer-flush.interval' = '@SINK_INTERVAL@',
    'sink.delivery-guarantee' = 'at-least-once'
);

CREATE TABLE product_views_analysis (
    _id STRING,
    window_start TIMESTAMP_LTZ(3),
    window_end TIMESTAMP_LTZ(3),
    product_id STRING,
    total_views BIGINT,
    average_view_duration DOUBLE,
    PRIMARY KEY (_id) NOT ENFORCED
) WITH (
    'connector' = 'mongodb',
    'uri' = '@MONGODB_URI@',
    'database' = '@DATABASE@',
    'collection' = 'product_views_analysis',
    'sink.buffer-flush.max-rows' = '@SINK_ROWS@',
    'sink.buffer-flush.interval' = '@SINK_INTERVAL@',
    'sink.delivery-guarantee' = 'at-least-once'
);

-- STATE_TTL: a group is forgotten once it has not changed for longer than its window and the two
-- hours of lateness together, so that the state does not grow for ever.

INSERT INTO customer_analysis
SELECT /*+ STATE_TTL('customers' = '28h') */
    _id,
    ROW(
        TO_TIMESTAMP_LTZ(CAST(SUBSTRING(_id, 1, 10) AS BIGINT), 0),
        TO_TIMESTAMP_LTZ(CAST(SUBSTRING(_id, 1, 10) AS BIGINT) + 86400, 0)
    ),
    SUBSTRING(_id, 12),
    COUNT(*),
    COUNT(DISTINCT customer_id),
    CAST(MAX(last_login) AS TIMESTAMP_LTZ(3))
FROM customers
GROUP BY _id;

INSERT INTO product_analysis
SELECT /*+ STATE_TTL('products' = '4h') */
    _id,
    TO_TIMESTAMP_LTZ(CAST(SUBSTRING(_id, 1, 10) AS BIGINT), 0),
    TO_TIMESTAMP_LTZ(CAST(SUBSTRING(_id, 1, 10) AS BIGINT) + 3600, 0),
    SUBSTRING(_id, 12),
    AVG(price),
    SUM(CAST(stock_quantity AS BIGINT))
FROM products
GROUP BY _id;

INSERT INTO sales_analysis
SELECT /*+ STATE_TTL('transactions' = '4h') */
    _id,
    TO_TIMESTAMP_LTZ(CAST(SUBSTRING(_id, 1, 10) AS BIGINT), 0),
    TO_TIMESTAMP_LTZ(CAST(SUBSTRING(_id, 1, 10) AS BIGINT) + 3600, 0),
    SUBSTRING(_id, 12),
    COUNT(*),
    SUM(CAST(quantity AS BIGINT)),
    COUNT(DISTINCT customer_id)
FROM transactions
GROUP BY _id;

INSERT INTO product_views_analysis
SELECT /*+ STATE_TTL('product_views' = '4h') */
    _id,
    TO_TIMESTAMP_LTZ(CAST(SUBSTRING(_id, 1, 10) AS BIGINT), 0),
    TO_TIMESTAMP_LTZ(CAST(SUBSTRING(_id, 1, 10) AS BIGINT) + 3600, 0),
    SUBSTRING(_id, 12),
    COUNT(*),
    AVG(CAST(view_duration AS DOUBLE))
FROM product_views
GROUP BY _id;
