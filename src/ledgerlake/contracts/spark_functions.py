"""Spark SQL's built-in functions by what a rule may do with them (3.5.6: SHOW FUNCTIONS and each one's group)."""

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ROW_FUNCTIONS: Final = _names(
    """
    abs acos acosh add_months aes_decrypt aggregate array array_append array_compact array_contains
    array_distinct array_except array_insert array_intersect array_join array_max array_min array_position
    array_prepend array_remove array_repeat array_size array_sort array_union arrays_overlap arrays_zip ascii
    asin asinh atan atan2 atanh base64 bigint bin binary bit_count bit_get bit_length bitmap_bit_position
    bitmap_bucket_number bitmap_count boolean bround btrim cardinality cast cbrt ceil ceiling char char_length
    character_length chr coalesce concat concat_ws contains conv convert_timezone cos cosh cot crc32 csc date
    date_add date_diff date_format date_from_unix_date date_part date_sub date_trunc dateadd datediff datepart
    day dayofmonth dayofweek dayofyear decimal decode degrees double e element_at elt encode endswith equal_null
    exists exp expm1 extract factorial filter find_in_set flatten float floor forall format_number format_string
    from_csv from_json from_unixtime from_utc_timestamp get get_json_object getbit greatest hash hex
    hll_sketch_estimate hll_union hour hypot if ifnull initcap instr int isnan isnotnull isnull
    json_array_length json_object_keys last_day lcase least left len length levenshtein ln locate log log10
    log1p log2 lower lpad ltrim luhn_check make_date make_dt_interval make_interval make_timestamp
    make_timestamp_ltz make_timestamp_ntz make_ym_interval map map_concat map_contains_key map_entries
    map_filter map_from_arrays map_from_entries map_keys map_values map_zip_with mask md5 minute mod month
    months_between named_struct nanvl negative next_day nullif nvl nvl2 octet_length overlay parse_url pi pmod
    position positive pow power printf quarter radians reduce regexp_count regexp_extract regexp_extract_all
    regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse right rint round rpad rtrim
    schema_of_csv schema_of_json sec second sentences sequence sha sha1 sha2 shiftleft shiftright
    shiftrightunsigned sign signum sin sinh size slice smallint sort_array soundex space split split_part sqrt
    startswith str_to_map string struct substr substring substring_index tan tanh timestamp timestamp_micros
    timestamp_millis timestamp_seconds tinyint to_binary to_char to_csv to_date to_json to_number to_timestamp
    to_timestamp_ltz to_timestamp_ntz to_unix_timestamp to_utc_timestamp to_varchar transform transform_keys
    transform_values translate trim trunc try_add try_aes_decrypt try_cast try_divide try_element_at
    try_multiply try_subtract try_to_binary try_to_number try_to_timestamp typeof ucase unbase64 unhex unix_date
    unix_micros unix_millis unix_seconds unix_timestamp upper url_decode url_encode weekday weekofyear when
    width_bucket xpath xpath_boolean xpath_double xpath_float xpath_int xpath_long xpath_number xpath_short
    xpath_string xxhash64 year zip_with timestampadd timestampdiff
    """
)
"""Functions whose value depends on the row alone: a rule may use them."""

AGGREGATES: Final = _names(
    """
    any any_value approx_count_distinct approx_percentile array_agg avg bit_and bit_or bit_xor
    bitmap_construct_agg bitmap_or_agg bool_and bool_or collect_list collect_set corr count count_if
    count_min_sketch covar_pop covar_samp every first first_value grouping grouping_id histogram_numeric
    hll_sketch_agg hll_union_agg kurtosis last last_value max max_by mean median min min_by mode percentile
    percentile_approx regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy
    regr_syy skewness some std stddev stddev_pop stddev_samp sum try_avg try_sum var_pop var_samp variance
    """
)
"""Functions over many rows."""

WINDOWS: Final = _names(
    """
    cume_dist dense_rank lag lead nth_value ntile percent_rank rank row_number session_window window window_time
    """
)
"""Functions over a row's neighbours, or over windows of time."""

GENERATORS: Final = _names(
    """
    explode explode_outer inline inline_outer json_tuple posexplode posexplode_outer stack
    """
)
"""Functions that make many rows of one."""

UNSTABLE: Final = _names(
    """
    aes_encrypt curdate current_catalog current_database current_date current_schema current_timestamp
    current_timezone current_user input_file_block_length input_file_block_start input_file_name localtimestamp
    monotonically_increasing_id now rand randn random shuffle spark_partition_id user uuid version
    """
)
"""Functions that may give another value when the same batch is tried again."""

SIDE_EFFECTS: Final = _names(
    """
    assert_true java_method raise_error reflect
    """
)
"""Functions that run other code, or end the job."""
